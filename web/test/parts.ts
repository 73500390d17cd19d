// In memory before a clock is faked; when and how they are loaded has tests of its own.
import '../src/session-act.js';
import '../src/session-live.js';

/**
 * What a page needs when it acts: requests with a token, and what is asked of the platforms. Loaded
 * at the first of them, and soon after a session is known.
 */
export { fetchAs } from './fetch.js';
export { makeSwitch } from './make-switch.js';
export { checkPin, pin } from './platforms.js';
export { post, refresh, signOut, validate } from './post.js';

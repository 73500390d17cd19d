import type { SessionPlatform, SessionSync } from '@vedfolnir/session-sync';
import { useState } from 'react';
import { useSession } from './use-session.js';

interface Props {
  sync: SessionSync;
  platforms: SessionPlatform[];
}

export function PlatformSwitcher({ sync, platforms }: Props) {
  const { state, status, pending } = useSession(sync);
  const [problem, setProblem] = useState('');
  if (!state) return <p>Nobody is signed in.</p>;

  const choose = ({ id, name }: SessionPlatform) => {
    setProblem('');
    sync.switchPlatform(id, name).catch((error: Error) => setProblem(error.message));
  };
  // Shown at once; taken back if the server refuses.
  const shown = pending ?? state.platform;
  return (
    <section aria-busy={pending !== null}>
      <h2>{shown?.name}</h2>
      {platforms.map((platform) => (
        <button key={platform.id} disabled={platform.id === shown?.id} onClick={() => choose(platform)}>
          {platform.name}
        </button>
      ))}
      <p role="alert">{problem}</p>
      <footer>
        {state.user?.username}, {status}
      </footer>
    </section>
  );
}

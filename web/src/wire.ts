/** The server's words, as `GET /api/session_state` and its neighbours say them. */

export type Id = number | string;

export interface SessionUser {
  id: Id;
  username?: string;
  email?: string;
}

export interface SessionPlatform {
  id: Id;
  name: string;
  type?: string;
  instance_url?: string;
  is_default?: boolean;
}

export interface SessionState {
  success?: boolean;
  user?: SessionUser | null;
  platform?: SessionPlatform | null;
  session?: {
    /** The public handle, never the token. */
    session_id: string;
    created_at?: string;
    last_activity?: string;
    expires_at?: string;
    idle_expires_at?: string;
    version?: number;
    /** The operator who acts as the user; not there: nobody does. */
    impersonator?: Id;
    /** Whether staying is possible; known only near the end. */
    can_extend?: boolean;
  };
  session_type?: string;
  sync?: {
    enabled?: boolean;
    check_interval_seconds?: number;
    heartbeat_interval_seconds?: number;
    warning_threshold_seconds?: number;
    server_time?: string;
  };
  stamp?: string;
  timestamp?: string;
}

export interface Refusal {
  error?: string;
  error_code?: string;
  reason?: string;
  request_id?: string;
  /** What the person has to prove first: `REAUTH_REQUIRED`. */
  required?: { max_age_seconds: number; level: number };
  /** When the session ended, and from which device of the person's, where that is known. */
  ended_at?: string;
  ended_from?: string;
}

export interface SwitchAnswer {
  success: boolean;
  message: string;
  platform: {
    id: Id;
    name: string;
    platform_type: string;
    instance_url?: string;
    username?: string;
  };
}

export interface RefreshAnswer {
  success: boolean;
  message: string;
  expires_at: string;
}

export interface HeartbeatAnswer {
  success: boolean;
  active: boolean;
  server_time: string;
  expires_at: string;
  idle_expires_at: string;
}

export type SyncStatus = 'live' | 'polling' | 'reconnecting' | 'offline';

/** Ids are numbers or strings on the wire and are compared as strings. */
export function idOf(thing: { id: Id } | null | undefined): string | undefined {
  return thing ? String(thing.id) : undefined;
}

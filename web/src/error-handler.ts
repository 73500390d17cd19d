import { leave } from './leave.js';
import { listen, type Scope } from './scope.js';

/** What the page provides to show a message with. */
interface Notifier {
  showNotification(message: string, type: string): void;
}

/** The specification's handler. A page may define its own under the same name. */
export class SessionErrorHandler {
  static handleSessionError(error: Error, context?: unknown): void {
    console.error('Session error:', error, context);
    if (error.message.includes('expired')) this.handleSessionExpired();
    else if (error.message.includes('network')) this.handleNetworkError();
    else this.showErrorNotification(error.message);
  }

  static handleSessionExpired(): void {
    leave(globalThis as Scope, true);
  }

  static handleNetworkError(): void {
    this.showErrorNotification('Network error. Please check your connection.', 'warning');
  }

  static showErrorNotification(message: string, type = 'error'): void {
    const { errorHandler } = globalThis as { errorHandler?: Notifier };
    errorHandler?.showNotification(message, type);
  }
}

/** Shows every session error that nobody caught. Returns its stop. */
export function handleSessionErrors(scope: Scope): () => void {
  return listen(scope, 'error', (event) => {
    const { error } = event as ErrorEvent;
    if (error?.context === 'session') SessionErrorHandler.handleSessionError(error, error.context);
  });
}

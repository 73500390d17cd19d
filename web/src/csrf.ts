import type { Scope } from './scope.js';

const META = 'csrf-token';

function metaOf(scope: Scope): HTMLMetaElement | null {
  return scope.document?.querySelector<HTMLMetaElement>(`meta[name="${META}"]`) ?? null;
}

export function currentToken(scope: Scope): string {
  return metaOf(scope)?.getAttribute('content') ?? '';
}

/** Kept in the page, where the page's own code looks for it. */
export function keepToken(scope: Scope, token: string): void {
  let meta = metaOf(scope);
  if (!meta) {
    meta = scope.document.createElement('meta');
    meta.name = META;
    scope.document.head.append(meta);
  }
  meta.setAttribute('content', token);
}

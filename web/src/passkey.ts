/** What a server sends and gets of a passkey, as WebAuthn Level 3 writes it in JSON. */

interface Methods {
  parseRequestOptionsFromJSON?(options: unknown): PublicKeyCredentialRequestOptions;
}

export const passkeysWork = (): boolean =>
  typeof PublicKeyCredential === 'function' && !!navigator.credentials;

/** Has the person use a passkey. Rejects if they do not. */
export async function usePasskey(options: unknown): Promise<object> {
  const { parseRequestOptionsFromJSON } = PublicKeyCredential as unknown as Methods;
  const publicKey = parseRequestOptionsFromJSON?.(options) ?? parse(options as object);
  const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  return credential.toJSON?.() ?? write(credential);
}

/** For browsers that do not read it themselves. */
function parse(options: object): PublicKeyCredentialRequestOptions {
  const { challenge, allowCredentials, ...rest } = options as {
    challenge: string;
    allowCredentials?: { id: string; type: 'public-key' }[];
  };
  return {
    ...rest,
    challenge: bytesOf(challenge),
    allowCredentials: allowCredentials?.map((each) => ({ ...each, id: bytesOf(each.id) })) ?? [],
  };
}

/** For browsers that do not write it themselves. */
function write(credential: PublicKeyCredential): object {
  const response = credential.response as AuthenticatorAssertionResponse;
  const { clientDataJSON, authenticatorData, signature, userHandle } = response;
  return {
    id: credential.id,
    rawId: textOf(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: {
      clientDataJSON: textOf(clientDataJSON),
      authenticatorData: textOf(authenticatorData),
      signature: textOf(signature),
      userHandle: userHandle ? textOf(userHandle) : undefined,
    },
  };
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const base64 = base64url.replace(/-/g, '+').replace(/_/g, '/');
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function textOf(buffer: ArrayBuffer): string {
  const base64 = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return base64.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

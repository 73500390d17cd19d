// Package openid signs people in through an OpenID provider, and hears from it when
// they have signed out there. It knows the protocol, and nothing of cookies, people
// or sessions: whoever calls it keeps a [Flow] between the two halves of a sign-in,
// and sees to it that a [Logout] is obeyed once.
//
// It is a relying party after OpenID Connect Core 1.0 (code flow, with a nonce),
// Discovery 1.0, RFC 7636 (PKCE, S256 always), RFC 9207 (who answered), RFC 9700 (best
// practice of all that) and Back-Channel Logout 1.0. Tokens, keys and signatures are
// github.com/coreos/go-oidc's matter, and what that leaves to its caller is done here.
//
// # What a provider can do to this server
//
// Each request to it ends within [Config.Timeout], and no answer is read beyond
// [maxAnswer]. Redirects are not followed. Its metadata are asked for when they are
// first needed, one request at a time, and again when that has failed, at most once in
// [retryAfter]; so a provider that is away keeps nothing from starting. Its keys are
// asked for again when a token is signed with one that is not known, at most once in
// [Config.KeyGap], whoever sends what.
package openid

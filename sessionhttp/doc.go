// Package sessionhttp puts a [session.Manager] in front of net/http: the cookie,
// the middleware, CSRF protection, the JSON API with its event stream, and the
// browser client.
//
// # What it promises
//
//   - The session's cookie is set by sign-in, rotation and sign-out, and by nothing
//     else. The token is in Set-Cookie and nowhere else.
//   - A store that does not answer is 503 with Retry-After, and no cookie is
//     cleared for it. A session that has ended is 401 and tells why. Nothing under
//     the API's path ever redirects.
//   - Every unsafe request is checked for its origin, and one that a cookie
//     authenticates needs the CSRF token of that very login.
//   - A request that states a platform (X-Platform-Id, or a form's platform_id) is
//     done as that platform, or refused. What a tab shows is what it acts as.
//   - Every answer behind the middleware varies by Cookie, and one to a request
//     with a session cookie is not to be stored by any cache.
//   - The ResponseWriter is not wrapped: flushing and hijacking work as ever.
//
// # How it is used
//
//	h, err := sessionhttp.New(manager, sessionhttp.Config{})
//	http.ListenAndServe("127.0.0.1:8080", h.Wrap(mux))
//
// Handlers behind [Handler.Wrap] or [Handler.Middleware] ask
// [session.FromContext]. [Handler.RequireSession], [Handler.RequirePlatform] and
// [Handler.RequireStatedPlatform] guard single routes; the last one is for routes
// that post or delete in a platform's name. [Handler.RequireRecent] and
// [Handler.RequireLevel] are for what is sensitive: whoever has not proved lately, or
// surely enough, who they are is asked to, in the page, and then it is done.
// [Handler.RequireOwner] keeps out an operator who acts as the person, by
// [Handler.Impersonate].
//
// [Handler.StartGuest] is for applications that keep something of people before they
// sign in.
//
// Any router will do: Wrap what it serves, or give it Wrap and the guards as
// middleware. One whose middleware is not that of net/http asks [CheckSession] and
// its companions. Routes of its own below Config.BasePath need
// Config.ShareBasePath.
//
// Middleware authenticates every request that carries a session cookie: mount
// public assets outside of it.
package sessionhttp

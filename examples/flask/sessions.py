"""Who is signed in, as the Vedfolnir server on the same origin knows it."""
import functools, http.client, json, os
from urllib import error, parse, request as outgoing
from flask import abort, g, make_response, redirect, request

SERVER = os.environ.get("VEDFOLNIR", "http://127.0.0.1:8080")
FORWARDED = "Cookie", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Platform-Id"
direct = outgoing.build_opener(outgoing.ProxyHandler({}))  # the cookie goes to no proxy


def ask(path):  # the answer to the browser's own cookie; without one the request ends here
    headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
    try:
        with direct.open(outgoing.Request(SERVER + path, headers=headers), timeout=5) as answer:
            return json.load(answer)
    except error.HTTPError as refusal:
        status, body = refusal.code, json.load(refusal)
    except (OSError, http.client.HTTPException):
        status, body = 503, {"success": False, "error_code": "UNAVAILABLE", "error": "Try again in a moment; you are not signed out."}
    page = "text/html" in request.headers.get("Accept", "")
    if status == 401 and page:
        abort(redirect("/login?" + parse.urlencode({"next": request.full_path.rstrip("?") if request.method == "GET" else "/"}), 303))
    abort(make_response(body["error"] if page else body, status, {"Retry-After": "1"} if status == 503 else {}))


def login_required(view, platform=False):
    @functools.wraps(view)
    def guarded(*args, **kwargs):
        state = ask("/api/session_state")
        g.user, g.platform = state["user"], state["platform"]
        if platform and not g.platform:
            abort(403, "Choose a platform first.")
        return view(*args, **kwargs)
    return guarded


require_platform = functools.partial(login_required, platform=True)

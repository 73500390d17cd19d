"""Notes, a list for each platform of a person. Who they are, the Vedfolnir server knows."""
import collections

from flask import Flask, abort, g, redirect, render_template, request

from sessions import ask, login_required, require_platform

app = Flask(__name__)
notes = collections.defaultdict(list)  # by platform


@app.before_request
def only_own_forms():
    """Browsers say where a request comes from; another site's forms are refused."""
    if request.method != "GET" and request.headers.get("Sec-Fetch-Site") != "same-origin":
        abort(403, "This form came from another site.")


@app.after_request
def keep_private(answer):
    answer.headers["Cache-Control"], answer.headers["Vary"] = "no-store", "Cookie"
    return answer


@app.get("/")
@login_required
def show():
    mine = notes[g.platform["id"]] if g.platform else []
    return render_template("notes.html", notes=mine, **ask("/api/user_platforms"))


@app.post("/notes")
@require_platform
def add():
    if request.form.get("platform_id") != str(g.platform["id"]):  # what a tab shows is what it acts as
        abort(409, "This page shows another platform than you act as now. Reload it.")
    notes[g.platform["id"]].append(request.form["text"])
    return redirect("/", 303)


@app.get("/about")
def about():
    return "Nobody is asked who they are here, so this page is there even when the server is not."

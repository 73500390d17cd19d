package sessionhttp

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var static embed.FS

// script is the browser client in one of its forms, named by its content, so that
// caches may keep it for ever and no page ever runs an old one.
type script struct {
	body []byte
	hash string
}

var (
	classicScript = newScript("static/session-sync.js")
	moduleScript  = newScript("static/session-sync.mjs")
)

func newScript(name string) script {
	body, err := static.ReadFile(name)
	if err != nil {
		panic(err) // the build embeds it
	}
	sum := sha256.Sum256(body)
	return script{body, hex.EncodeToString(sum[:8])}
}

// ScriptURL is where the browser client is served, for a script tag.
func (h *Handler) ScriptURL() string { return h.config.ScriptPath + "?v=" + classicScript.hash }

// ModuleURL is where the browser client is served as an ES module.
func (h *Handler) ModuleURL() string { return h.modulePath() + "?v=" + moduleScript.hash }

func (h *Handler) modulePath() string {
	return strings.TrimSuffix(h.config.ScriptPath, ".js") + ".mjs"
}

// onDemand are the scripts that the client loads by itself, by name.
var onDemand = func() map[string]script {
	scripts := map[string]script{}
	files, err := static.ReadDir("static")
	if err != nil {
		panic(err) // the build embeds it
	}
	for _, file := range files {
		if name := file.Name(); !strings.HasPrefix(name, "session-sync.") {
			scripts[name] = newScript("static/" + name)
		}
	}
	return scripts
}()

// scripts serves both forms, and beside them what they load on demand; it is the
// same for everybody.
func (h *Handler) scripts() scripts {
	all := scripts{h.config.ScriptPath: classicScript, h.modulePath(): moduleScript}
	for name, script := range onDemand {
		all[path.Join(path.Dir(h.config.ScriptPath), name)] = script
	}
	return all
}

type scripts map[string]script

func (s scripts) serves(path string) bool { _, ok := s[path]; return ok }

func (s scripts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	script, header := s[r.URL.Path], w.Header()
	if !shows(r.Method) {
		header.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	version := r.URL.Query().Get("v")
	if _, part := onDemand[path.Base(r.URL.Path)]; part && version != "" && version != script.hash {
		// Of another release, it would not fit what asks for it.
		header.Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	tag := `"` + script.hash + `"`
	header.Set("ETag", tag)
	header.Set("Cache-Control", "no-cache")
	if version == script.hash {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matches(r.Header["If-None-Match"], tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(script.body)))
	w.Write(script.body)
}

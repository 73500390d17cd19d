package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// AssetPrefix is where assets are served.
const AssetPrefix = "/assets/"

// Assets are the files that pages refer to. Each is served under a name that
// holds a hash of its content, and may be kept for ever.
type Assets struct {
	paths map[string]string // by the file's own name
	files map[string]asset  // by path
}

type asset struct {
	content []byte
	kind    string
}

func newAssets() (*Assets, error) {
	a := &Assets{paths: map[string]string{}, files: map[string]asset{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	for _, e := range entries {
		content, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
		hash := sha256.Sum256(content)
		ext := path.Ext(e.Name())
		served := AssetPrefix + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(hash[:6]) + ext
		a.paths[e.Name()] = served
		a.files[served] = asset{content, kinds[ext]}
	}
	return a, nil
}

// kinds are fixed: what the machine's own table says may differ.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// Path is where the asset of that name is served; empty: there is none.
func (a *Assets) Path(name string) string { return a.paths[name] }

func (a *Assets) path(name string) (string, error) {
	if p, ok := a.paths[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("there is no asset %q", name)
}

// Paths are where assets are served, in order.
func (a *Assets) Paths() []string { return slices.Sorted(maps.Keys(a.files)) }

// ServeHTTP sends the asset that the path names.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Content-Length", strconv.Itoa(len(file.content)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(file.content)
}

//go:build linux

package test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// release builds this machine's target once, into a folder of the test's.
func release(t *testing.T, from string) (out string) {
	t.Helper()
	out = t.TempDir()
	tools, err := filepath.Abs(filepath.Join(root, "bin/tools"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, from, "OUT="+out, "TOOLS="+tools, "VERSION=1.2.3", "SOURCE_DATE_EPOCH=1700000000", "sh", "tools/release", "linux/"+runtime.GOARCH)
	return out
}

// A release is the same bytes wherever it is built: it is built here, and in a copy
// elsewhere.
func TestRelease(t *testing.T) {
	missing(t, "git")
	out := release(t, root)
	elsewhere := t.TempDir()
	for _, file := range files(t) {
		target := filepath.Join(elsewhere, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(read(t, file)), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	again := release(t, elsewhere)

	name := "vedfolnir-1.2.3-linux-" + runtime.GOARCH
	package_ := "vedfolnir_1.2.3_" + runtime.GOARCH + ".deb"
	sums := content(t, filepath.Join(out, "SHA256SUMS"))
	for _, file := range []string{name, name + ".cdx.json", package_} {
		here, there := content(t, filepath.Join(out, file)), content(t, filepath.Join(again, file))
		if !bytes.Equal(here, there) {
			t.Errorf("%s is not the same twice", file)
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(here), file); !bytes.Contains(sums, []byte(line)) {
			t.Errorf("SHA256SUMS does not have %s", line)
		}
	}
	program(t, filepath.Join(out, name))
	components(t, filepath.Join(out, name+".cdx.json"))
	t.Run("package", func(t *testing.T) { installed(t, filepath.Join(out, package_)) })
	t.Run("image", func(t *testing.T) { contained(t, filepath.Join(out, name)) })
}

// program is static, says its version, and knows nothing of where it was built.
func program(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Error("it is linked to other files")
		}
	}
	if said := run(t, root, path, "version"); said != "vedfolnir 1.2.3\n" {
		t.Errorf("version: %q", said)
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content(t, path), []byte(here+"/")) {
		t.Error("it holds the path that it was built in")
	}
}

// components are listed, with their versions.
func components(t *testing.T, path string) {
	t.Helper()
	var list struct {
		Format     string `json:"bomFormat"`
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(content(t, path), &list); err != nil || list.Format != "CycloneDX" {
		t.Fatalf("%s: %q, %v", path, list.Format, err)
	}
	found := map[string]bool{}
	for _, c := range list.Components {
		found[c.Name] = c.Version != "" && c.Purl != ""
	}
	for _, name := range []string{"modernc.org/sqlite", "github.com/alecthomas/kong", "golang.org/x/crypto"} {
		if !found[name] {
			t.Errorf("the list of components does not have %s", name)
		}
	}
}

var execStart = regexp.MustCompile(`(?m)^ExecStart=(.*)$`)

// installed puts the package on this machine, starts the server as the unit does, as
// the unit's user and without any privilege, and takes everything away again.
func installed(t *testing.T, deb string) {
	onlyRoot(t)
	missing(t, "apt-get", "setpriv", "getent")
	if _, err := os.Stat("/etc/vedfolnir"); err == nil {
		t.Fatal("Vedfolnir is installed here: this test would remove it")
	}
	apt := func(args ...string) {
		t.Helper()
		// Not by run: what cleans up goes on when the test is over.
		c := exec.Command("apt-get", append([]string{"-qq", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}, args...)...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	left := []string{"/var/lib/vedfolnir", "/etc/vedfolnir", "/usr/bin/vedfolnir", "/usr/share/doc/vedfolnir", "/usr/lib/systemd/system/vedfolnir.service", "/usr/lib/systemd/system/vedfolnir@.service"}
	t.Cleanup(func() {
		apt("purge", "vedfolnir")
		for _, path := range left {
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was left behind: %v", path, err)
			}
		}
		if exec.Command("getent", "passwd", "vedfolnir").Run() == nil {
			t.Error("the user was left behind")
		}
	})
	apt("install", deb)

	unit := content(t, "/usr/lib/systemd/system/vedfolnir.service")
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		for _, unit := range []string{"vedfolnir.service", "vedfolnir@.service"} {
			run(t, root, "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", "/usr/lib/systemd/system/"+unit)
		}
	}
	line := execStart.FindSubmatch(unit)
	if line == nil {
		t.Fatalf("no ExecStart in\n%s", unit)
	}
	asService := []string{"setpriv", "--reuid=vedfolnir", "--regid=vedfolnir", "--init-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"}
	server := exec.CommandContext(t.Context(), asService[0], append(asService[1:], strings.Fields(string(line[1]))...)...)
	server.Dir, server.Env = "/var/lib/vedfolnir", []string{"VEDFOLNIR_ADDR=127.0.0.1:0"}
	stop := serving(t, server)
	add := exec.CommandContext(t.Context(), asService[0], append(asService[1:], "vedfolnir", "user", "add", "kim", "--email=kim@example.org", "--password-stdin", "--config=/etc/vedfolnir/vedfolnir.toml")...)
	add.Stdin = strings.NewReader("correct horse battery staple")
	if out, err := add.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "Added kim") {
		t.Errorf("%v\n%s", err, out)
	}
	if said := stop(); !strings.Contains(said, "/first-start#") {
		t.Errorf("it did not say how to make the first person:\n%s", said)
	}
	for _, path := range []string{"vedfolnir.db", "vedfolnir.keys"} {
		if info, err := os.Stat(filepath.Join("/var/lib/vedfolnir", path)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	for _, path := range []string{"/usr/share/man/man1/vedfolnir.1.gz", "/usr/share/bash-completion/completions/vedfolnir"} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// contained runs the program where there is nothing but what the image has: as the
// Dockerfile says it, in a root of its own, as a user without a name.
func contained(t *testing.T, binary string) {
	onlyRoot(t)
	missing(t, "chroot", "tar")
	instructions := map[string]string{}
	for line := range strings.Lines(read(t, "deploy/Dockerfile")) {
		if word, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && word != "#" {
			instructions[word] = rest
		}
	}
	if instructions["FROM"] != "scratch" || instructions["ADD"] != "bin/image.tar /" || instructions["ENTRYPOINT"] != `["/vedfolnir"]` || instructions["WORKDIR"] != "/data" {
		t.Fatalf("the Dockerfile is another one: %v", instructions)
	}
	folder := t.TempDir()
	image := filepath.Join(folder, "image.tar")
	run(t, root, "sh", "tools/image", binary, image)
	alone := filepath.Join(folder, "root")
	if err := os.Mkdir(alone, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, alone, "tar", "--numeric-owner", "-xpf", image)
	server := exec.CommandContext(t.Context(), "chroot", "--userspec="+instructions["USER"], alone, "/vedfolnir", "serve")
	server.Env = []string{instructions["ENV"], "VEDFOLNIR_ADDR=127.0.0.1:0"}
	serving(t, server)()
	if info, err := os.Stat(filepath.Join(alone, "data/vedfolnir.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database: %v, %v", info, err)
	}
}

var address = regexp.MustCompile(`http://localhost:\d+`)

// serving starts it and waits until it is ready. stop ends it as systemd does, and
// returns what it said meanwhile.
func serving(t *testing.T, c *exec.Cmd) (stop func() string) {
	t.Helper()
	said := ""
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for !address.MatchString(said) {
		line, err := lines.ReadString('\n')
		if said += line; err != nil {
			_ = c.Wait()
			t.Fatalf("it ended: %s%s", said, stderr.String())
		}
	}
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines)
		rest <- string(text)
	}()
	w, err := http.Get(address.FindString(said) + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 200 {
		t.Errorf("ready: %d", w.StatusCode)
	}
	return func() string {
		t.Helper()
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case text := <-rest:
			said += text
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, stderr.String())
		}
		return said
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// onlyRoot can install a package, or change the root.
func onlyRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this wants root")
	}
	t.Skip("this wants root")
}

// missing skips the test without one of these programs; where everything is to be
// tested it fails.
func missing(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

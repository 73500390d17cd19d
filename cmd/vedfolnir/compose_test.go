package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/vedfolnir/session/internal/nginxtest"
	"github.com/vedfolnir/session/internal/testservers"
)

// service is what this repository uses of the Compose specification's.
type service struct {
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	NetworkMode string            `yaml:"network_mode"`
	Volumes     []string          `yaml:"volumes"`
	Build       struct{ Context, Dockerfile string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

// composed reads deploy/compose.yaml.
func composed(t *testing.T) map[string]service {
	t.Helper()
	var file struct {
		Services map[string]service `yaml:"services"`
		Volumes  map[string]any     `yaml:"volumes"`
	}
	if err := yaml.Unmarshal([]byte(sample(t, "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		for other := range s.DependsOn {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s depends on %s, which there is not", name, other)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, ok := file.Volumes[source]; !ok && !strings.HasPrefix(source, "./") {
				t.Errorf("%s mounts %s, which there is not", name, source)
			}
		}
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join("../../deploy", s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Error(err)
			}
		}
	}
	return file.Services
}

// What deploy/compose.yaml starts is started here, with other addresses: its nodes with
// their flags and variables on a new database, and its nginx with what it makes of
// deploy/nginx.conf. A person signs in, and every node is restarted while they work.
func TestComposeStartsThreeNodesBehindNginx(t *testing.T) {
	t.Parallel()
	services := composed(t)
	c := &cluster{t: t, folder: t.TempDir()}
	c.roots = certificate(t, c.folder)
	moved := strings.NewReplacer("/data/", c.folder+"/", services["node1"].Environment["VEDFOLNIR_DATABASE"], testservers.PostgreSQL(t), "${POSTGRES_PASSWORD:?give a password}", "any")
	environ := func(s service) (list []string) {
		for name, value := range s.Environment {
			list = append(list, name+"="+moved.Replace(value))
		}
		return append(list, "SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR=0")
	}
	if out, err := command(t, c.folder, environ(services["keys"]), services["keys"].Command...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf := sample(t, "nginx.conf")
	if proxy := services["nginx"].Command; len(proxy) != 3 || !strings.HasPrefix(proxy[2], "sed 's/#server/server/' /nginx.conf >/etc/nginx/conf.d/default.conf && ") {
		t.Fatalf("nginx starts otherwise: %q", proxy)
	}
	conf = strings.ReplaceAll(conf, "#server", "server")
	for _, name := range []string{"node1", "node2", "node3"} {
		s := services[name]
		said := regexp.MustCompile(`--addr=(127\.0\.0\.1:\d+)`).FindStringSubmatch(strings.Join(s.Command, " "))
		if s.NetworkMode != "service:nginx" || said == nil || strings.Count(conf, "server "+said[1]+" ") != 1 {
			t.Fatalf("nginx does not know %s: %+v", name, s)
		}
		addr := freeAddress(t)
		conf = strings.Replace(conf, said[1], addr, 1)
		for i, word := range s.Command {
			s.Command[i] = strings.Replace(word, said[1], addr, 1)
		}
		c.addrs, c.nodes = append(c.addrs, addr), append(c.nodes, nil)
	}
	start := func(i int) {
		s := services[[]string{"node1", "node2", "node3"}[i]]
		if s.Command[0] != "serve" {
			t.Fatalf("it starts %q", s.Command)
		}
		c.nodes[i] = launch(t, c.folder, environ(s), s.Command[1:]...)
	}
	var starting sync.WaitGroup
	for i := range c.nodes { // all at once, on an empty database
		starting.Go(func() { start(i) })
	}
	starting.Wait()
	for _, args := range [][]string{
		{"user", "add", "kim", "--email=kim@example.org", "--password-stdin"},
		{"platform", "add", "kim", "One", "--type=mastodon", "--url=https://one.example"},
		{"platform", "add", "kim", "Two", "--type=mastodon", "--url=https://two.example"},
	} {
		add := command(t, c.folder, environ(services["node1"]), args...)
		add.Stdin = strings.NewReader(kimsPassword)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	addr, plain := freeAddress(t), freeAddress(t)
	nginxtest.Start(t, t.TempDir(), strings.NewReplacer("listen 443 ssl;", "listen "+addr+" ssl;", "listen 80;", "listen "+plain+";",
		"sessions.example.org;", "127.0.0.1;", "/etc/ssl/certs/sessions.example.org.pem", filepath.Join(c.folder, "cert.pem"),
		"/etc/ssl/private/sessions.example.org.key", filepath.Join(c.folder, "key.pem")).Replace(conf), addr)
	v := c.signIn("https://" + addr)
	l := v.load("GET", "POST")
	for i := range c.nodes {
		l.more(t, 50)
		c.nodes[i].end(syscall.SIGTERM)
		start(i)
	}
	l.more(t, 50)
	l.unnoticed(t)
}

// Three processes bring an empty database up to date at the same time.
func TestMigrateByAllNodesAtOnce(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	flags := []string{"--database=" + testservers.PostgreSQL(t), "--keys=" + filepath.Join(folder, "shared.keys")}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var migrating sync.WaitGroup
	for range 3 {
		migrating.Go(func() {
			out, err := command(t, folder, nil, append([]string{"migrate"}, flags...)...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "is up to date") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	migrating.Wait()
	if out, err := command(t, folder, nil, append([]string{"user", "list"}, flags...)...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// The unit of one of several nodes is that of the only one, but for its port.
func TestTheUnitOfANodeIsThatOfTheOnlyOne(t *testing.T) {
	t.Parallel()
	own := map[string]bool{}
	for line := range strings.Lines(sample(t, "vedfolnir.service")) {
		own[line] = true
	}
	var more []string
	for line := range strings.Lines(sample(t, "vedfolnir@.service")) {
		if !own[line] && line != "\n" && !strings.HasPrefix(line, "#") {
			more = append(more, line)
		}
		delete(own, line)
	}
	var less []string
	for line := range own {
		if line != "\n" && !strings.HasPrefix(line, "#") {
			less = append(less, line)
		}
	}
	if len(less) != 2 || len(more) != 3 { // description and start; and the file of passwords
		t.Errorf("it has\n%sand lacks\n%s", strings.Join(more, ""), strings.Join(less, ""))
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/vedfolnir (.*)$`).FindStringSubmatch(sample(t, "vedfolnir@.service"))
	if start == nil {
		t.Fatal("the unit starts nothing")
	}
	args := strings.Fields(strings.NewReplacer("%i", "0", "/etc/vedfolnir/vedfolnir.toml", "v.toml").Replace(start[1]))
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "v.toml"), []byte(sample(t, "vedfolnir.toml")), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, folder, []string{"VEDFOLNIR_DATABASE=sqlite::memory:"}, args[1:]...).end(syscall.SIGTERM)
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		unit := filepath.Join(folder, "vedfolnir@8081.service") // as started; the program is not where it will be
		if err := os.WriteFile(unit, []byte(strings.ReplaceAll(sample(t, "vedfolnir@.service"), "/usr/bin/vedfolnir", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

package attack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The hosts of the story: the server's, and a sibling that an attacker owns.
const (
	app  = "app.example.test"
	evil = "evil.example.test"
)

// world is what the attacks happen in: the program, and everything it ever said.
type world struct {
	*server
	folder string // certificate, key; and the server's database and keys
	roots  *x509.CertPool
	people int
	secret *secrets
}

func newWorld(t *testing.T) *world {
	w := &world{folder: t.TempDir(), secret: &secrets{}}
	w.certify(t)
	w.server = start(t, w.folder, new(output))
	return w
}

var (
	building sync.Once
	program  string
	unbuilt  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if program != "" {
		_ = os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// build makes the program once, as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	building.Do(func() {
		folder, err := os.MkdirTemp("", "vedfolnir-attack-")
		if err != nil {
			unbuilt = err
			return
		}
		program = filepath.Join(folder, "vedfolnir")
		c := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/vedfolnir")
		c.Dir, c.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			unbuilt = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if unbuilt != nil {
		t.Fatal(unbuilt)
	}
	return program
}

// certify writes a certificate for the hosts, by an authority that is made for it.
func (w *world) certify(t *testing.T) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	until := time.Now().Add(24 * time.Hour)
	ca, caKey := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test"}, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	cert, key := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: until, DNSNames: []string{app, evil}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Raw}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(w.folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.roots = x509.NewCertPool()
	w.roots.AddCert(ca)
}

// server is the program while it serves.
type server struct {
	cmd    *exec.Cmd
	folder string
	addr   string
	out    *output // everything that it, and its commands, ever said
}

// output may be looked at while the program goes on writing it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var addressForm = regexp.MustCompile(`https?://([0-9.]+:[0-9]+)`)

func environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "SESSION_MAX_CONCURRENT_PER_USER=0", "VEDFOLNIR_LOG_LEVEL=debug", "VEDFOLNIR_DATABASE=sqlite:v.db",
		// So that the attacks are not kept from going on; one of them is about these.
		"VEDFOLNIR_ATTEMPTS_PER_ACCOUNT=1000000", "VEDFOLNIR_ATTEMPTS_PER_ADDRESS=1000000",
	}
}

// start the program with TLS on a free port, and wait until it says where.
func start(t *testing.T, folder string, out *output, args ...string) *server {
	t.Helper()
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--trusted-proxy") }) {
		args = append(args, "--tls-cert=cert.pem", "--tls-key=key.pem")
	}
	s := &server{folder: folder, out: out}
	s.cmd = exec.Command(build(t), append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr = folder, environ(), s.out
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	lines := bufio.NewReader(stdout)
	for s.addr == "" {
		line, err := lines.ReadString('\n')
		io.WriteString(s.out, line)
		if err != nil {
			t.Fatalf("the program ended: %s", s.out)
		}
		if found := addressForm.FindStringSubmatch(line); found != nil {
			s.addr = found[1]
		}
	}
	go io.Copy(s.out, lines)
	return s
}

// stop the program in order; it may be called twice.
func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
}

// command is what an operator types in a terminal beside the server.
func (s *server) command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, build(t), args...)
	c.Dir, c.Env, c.Stdin = s.folder, environ(), strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	s.out.Write(out)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// account is somebody with a name and a password.
type account struct{ name, password string }

// account makes a new person, so that no attack disturbs another.
func (w *world) account(t *testing.T) account {
	t.Helper()
	w.people++
	a := account{fmt.Sprintf("person%d", w.people), "secret words of " + rand.Text()}
	w.secret.add("a password", a.password)
	w.command(t, a.password+"\n", "user", "add", a.name, "--email", a.name+"@example.org", "--password-stdin")
	return a
}

// platforms gives the person two accounts to act as.
func (w *world) platforms(t *testing.T, a account) account {
	t.Helper()
	for _, p := range []string{"one", "two"} {
		w.command(t, "", "platform", "add", a.name, p+" of "+a.name, "--type", "mastodon", "--url", "https://"+p+".example")
	}
	return a
}

// dialer connects every host of the story to the address.
func (w *world) dialer(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func (w *world) tls() *tls.Config { return &tls.Config{RootCAs: w.roots} }

// secrets are what nobody may ever be shown, gathered as they are made.
type secrets struct {
	mu   sync.Mutex
	kind map[string]string // by secret
}

func (s *secrets) add(kind, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kind == nil {
		s.kind = map[string]string{}
	}
	s.kind[secret] = kind
}

// try a command for what it prints; that it may fail is none of this test's.
func (s *server) try(args ...string) {
	c := exec.Command(program, args...)
	c.Dir, c.Env = s.folder, environ()
	out, _ := c.CombinedOutput()
	s.out.Write(out)
}

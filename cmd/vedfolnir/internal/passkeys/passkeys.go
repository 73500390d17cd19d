package passkeys

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

var (
	// ErrRefused: the answer is not one to a challenge that was given to this holder
	// for this, or not one of that passkey.
	ErrRefused = errors.New("the passkey's answer is not accepted")
	// ErrStale: the answer came too late.
	ErrStale = errors.New("the passkey's answer came too late")
)

// Ceremonies of one server, or of several with the same keys. Each has two parts:
// options for the browser, with a challenge in them, and its answer. In between the
// server keeps nothing. Whoever is asked is named by holder: the session, or the
// browser of somebody who is signed out; the answer has to come from the same.
//
// Whoever accepts an answer has to spend its challenge in the same transaction
// ([directory.Directory.AddPasskey], [directory.Directory.UsePasskey]), or it could
// be given again.
type Ceremonies struct {
	keys [][]byte
	now  func() time.Time
}

// New returns ceremonies whose challenges are made with the first of the keys, and
// accepted with any.
func New(keys [][]byte, now func() time.Time) *Ceremonies { return &Ceremonies{keys, now} }

// Register returns the PublicKeyCredentialCreationOptions, in the form of JSON that
// WebAuthn defines, for one more passkey of the person.
func (c *Ceremonies) Register(site Site, holder string, h directory.Holder) (json.RawMessage, error) {
	party, err := site.party()
	if err != nil {
		return nil, err
	}
	challenge := c.challenge(registering, site, holder)
	who := person{h}
	options, _, err := party.BeginRegistration(who,
		webauthn.WithExclusions(webauthn.Credentials(who.WebAuthnCredentials()).CredentialDescriptors()),
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge, o.Parameters = challenge, algorithms
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("passkeys: begin to register: %w", err)
	}
	return encoded(options.Response)
}

// Registered reads the answer to Register, and returns the passkey, which is called
// as its authenticator is, or not at all.
func (c *Ceremonies) Registered(site Site, holder string, h directory.Holder, answer []byte) (directory.Passkey, directory.Once, error) {
	none, once := directory.Passkey{}, directory.Once{}
	party, err := site.party()
	if err != nil {
		return none, once, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return none, once, refused(err)
	}
	given := parsed.Response.CollectedClientData.Challenge
	if once, err = c.accept(given, registering, site, holder); err != nil {
		return none, once, err
	}
	made, err := party.CreateCredential(person{h}, webauthn.SessionData{
		Challenge: given, RelyingPartyID: site.Name, Origin: site.Origin, UserID: h.Handle,
		UserVerification: protocol.VerificationRequired, CredParams: algorithms,
	}, parsed)
	if err != nil {
		return none, once, refused(err)
	}
	p := directory.Passkey{
		ID: made.ID, Site: site.Name, PublicKey: made.PublicKey,
		BackupEligible: made.Flags.BackupEligible, BackedUp: made.Flags.BackupState,
		SignCount: made.Authenticator.SignCount, CreatedAt: c.now(),
	}
	copy(p.Model[:], made.Authenticator.AAGUID)
	p.Name = models[p.Model]
	for _, t := range made.Transport {
		if known[t] {
			p.Transports = append(p.Transports, string(t))
		}
	}
	return p, once, nil
}

// SignIn returns the PublicKeyCredentialRequestOptions for whoever it may be.
func (c *Ceremonies) SignIn(site Site, holder string) (json.RawMessage, error) {
	party, err := site.party()
	if err != nil {
		return nil, err
	}
	options, _, err := party.BeginDiscoverableLogin(webauthn.WithChallenge(c.challenge(signingIn, site, holder)))
	if err != nil {
		return nil, fmt.Errorf("passkeys: begin to sign in: %w", err)
	}
	return encoded(options.Response)
}

// Prove is SignIn for a person who is signed in already, with one of their passkeys.
func (c *Ceremonies) Prove(site Site, holder string, h directory.Holder) (json.RawMessage, error) {
	party, err := site.party()
	if err != nil {
		return nil, err
	}
	options, _, err := party.BeginLogin(person{h}, webauthn.WithChallenge(c.challenge(proving, site, holder)))
	if err != nil {
		return nil, fmt.Errorf("passkeys: begin to prove: %w", err)
	}
	return encoded(options.Response)
}

// Answer of a browser to SignIn or Prove, before it is checked.
type Answer struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// Read reads an answer.
func Read(answer []byte) (Answer, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Answer{}, refused(err)
	}
	return Answer{parsed}, nil
}

// Passkey is the id of that which answers.
func (a Answer) Passkey() []byte { return a.parsed.RawID }

// Use is a passkey's answer that was accepted.
type Use struct {
	Passkey  directory.Passkey // as it is since
	Answered directory.Once
	// CountedBack: the authenticator has counted on from less than it had reached. There may be
	// a copy of it, or it has been reset. Those that are copied on purpose do not
	// count.
	CountedBack bool
}

// SignedIn checks the answer to SignIn, by what is stored of its passkey.
func (c *Ceremonies) SignedIn(site Site, holder string, h directory.Holder, a Answer) (Use, error) {
	return c.used(signingIn, site, holder, h, a)
}

// Proven checks the answer to Prove, by what is stored of its passkey.
func (c *Ceremonies) Proven(site Site, holder string, h directory.Holder, a Answer) (Use, error) {
	return c.used(proving, site, holder, h, a)
}

func (c *Ceremonies) used(kind ceremony, site Site, holder string, h directory.Holder, a Answer) (Use, error) {
	party, err := site.party()
	if err != nil {
		return Use{}, err
	}
	given := a.parsed.Response.CollectedClientData.Challenge
	once, err := c.accept(given, kind, site, holder)
	if err != nil {
		return Use{}, err
	}
	begun := webauthn.SessionData{
		Challenge: given, RelyingPartyID: site.Name, Origin: site.Origin, UserVerification: protocol.VerificationRequired,
	}
	var now *webauthn.Credential
	if kind == signingIn {
		now, err = party.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return person{h}, nil }, begun, a.parsed)
	} else {
		begun.UserID = h.Handle
		now, err = party.ValidateLogin(person{h}, begun, a.parsed)
	}
	if err != nil {
		return Use{}, refused(err)
	}
	for _, p := range h.Passkeys {
		if bytes.Equal(p.ID, now.ID) {
			p.BackedUp, p.SignCount, p.LastUsed = now.Flags.BackupState, now.Authenticator.SignCount, c.now()
			return Use{p, once, now.Authenticator.CloneWarning}, nil
		}
	}
	return Use{}, ErrRefused
}

// accept is accepted for a challenge as client data have it.
func (c *Ceremonies) accept(text string, kind ceremony, site Site, holder string) (directory.Once, error) {
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return directory.Once{}, ErrRefused
	}
	return c.accepted(challenge, kind, site, holder)
}

// refused says why, in words without what was given.
func refused(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }

func encoded(options any) (json.RawMessage, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return text, nil
}

package passkeys

import (
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// party is the site in the library's words.
func (s Site) party() (*webauthn.WebAuthn, error) {
	discoverable := true
	return webauthn.New(&webauthn.Config{
		RPID: s.Name, RPDisplayName: "Vedfolnir", RPOrigins: []string{s.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &discoverable,
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login: webauthn.TimeoutConfig{Timeout: goodFor}, Registration: webauthn.TimeoutConfig{Timeout: goodFor},
		},
		// Nothing is read of what extensions tell, and some password managers tell more
		// than they were asked.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
}

// algorithms are those that WebAuthn recommends.
var algorithms = webauthn.CredentialParametersRecommendedL3()

// known are the transports that browsers can be told of again.
var known = map[protocol.AuthenticatorTransport]bool{
	protocol.USB: true, protocol.NFC: true, protocol.BLE: true, protocol.SmartCard: true, protocol.Hybrid: true, protocol.Internal: true,
}

// person is a holder in the library's words.
type person struct{ directory.Holder }

func (p person) WebAuthnID() []byte          { return p.Handle }
func (p person) WebAuthnName() string        { return p.Username }
func (p person) WebAuthnDisplayName() string { return p.Username }

func (p person) WebAuthnCredentials() (list []webauthn.Credential) {
	for _, k := range p.Passkeys {
		c := webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey,
			Flags:         webauthn.CredentialFlags{BackupEligible: k.BackupEligible, BackupState: k.BackedUp, UserPresent: true, UserVerified: true},
			Authenticator: webauthn.Authenticator{AAGUID: k.Model[:], SignCount: k.SignCount},
		}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		list = append(list, c)
	}
	return list
}

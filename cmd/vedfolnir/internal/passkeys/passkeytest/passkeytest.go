// Package passkeytest is an authenticator for tests, with the browser that it is
// asked by.
package passkeytest

import (
	virtual "github.com/descope/virtualwebauthn"
)

// Device of a person: change any of it to be dishonest.
type Device struct {
	At    virtual.RelyingParty // where the browser is, and which site it names
	Model virtual.Authenticator
	Key   virtual.Credential
}

// keyLength of a COSE_Key on P-256.
const keyLength = 77

// New returns a device at an origin, whose key may be copied to others of the person.
func New(name, origin string) *Device {
	d := &Device{
		At:    virtual.RelyingParty{ID: name, Name: "Vedfolnir", Origin: origin},
		Model: virtual.NewAuthenticatorWithOptions(virtual.AuthenticatorOptions{BackupEligible: true}),
	}
	// One in 128 keys that the library makes has a coordinate without its leading zero,
	// which is no COSE_Key.
	for d.Key.Key == nil || len(d.Key.Key.AttestationData()) != keyLength {
		d.Key = virtual.NewCredential(virtual.KeyTypeEC2)
	}
	return d
}

// Attest answers PublicKeyCredentialCreationOptions with the key, and remembers whose
// it is.
func (d *Device) Attest(options []byte) (string, error) {
	asked, err := virtual.ParseAttestationOptions(string(options))
	if err != nil {
		return "", err
	}
	d.Model.Options.UserHandle = []byte(asked.UserID)
	return virtual.CreateAttestationResponse(d.At, d.Model, d.Key, *asked), nil
}

// Assert answers PublicKeyCredentialRequestOptions.
func (d *Device) Assert(options []byte) (string, error) {
	asked, err := virtual.ParseAssertionOptions(string(options))
	if err != nil {
		return "", err
	}
	d.Key.Counter++
	return virtual.CreateAssertionResponse(d.At, d.Model, d.Key, *asked), nil
}

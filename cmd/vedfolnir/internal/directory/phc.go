package directory

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// phc is a hash in the Password Hashing Competition's string format.
type phc struct {
	cost      Cost
	salt, key []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.cost.KiB, p.cost.Passes, p.cost.Lanes, phcText.EncodeToString(p.salt), phcText.EncodeToString(p.key))
}

var phcText = base64.RawStdEncoding.Strict()

var errPHC = errors.New("the stored password is no Argon2id hash that this program knows")

// parsePHC reads what String writes. The bounds keep a damaged row from taking
// all memory or hashing for ever.
func parsePHC(text string) (phc, error) {
	fields := strings.Split(text, "$")
	if len(fields) != 6 {
		return phc{}, errPHC
	}
	var p phc
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &p.cost.KiB, &p.cost.Passes, &p.cost.Lanes); err != nil {
		return phc{}, errPHC
	}
	if p.cost.KiB < 8 || p.cost.KiB > 1<<20 || p.cost.Passes < 1 || p.cost.Passes > 64 || p.cost.Lanes < 1 {
		return phc{}, errPHC
	}
	var errSalt, errKey error
	p.salt, errSalt = phcText.DecodeString(fields[4])
	p.key, errKey = phcText.DecodeString(fields[5])
	if errSalt != nil || errKey != nil || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 || p.String() != text {
		return phc{}, errPHC
	}
	return p, nil
}

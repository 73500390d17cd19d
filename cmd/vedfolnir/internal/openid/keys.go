package openid

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// keySet are the provider's keys, which are asked for when a token is signed with one
// that is not known yet. It tells what becomes of that, since the verifier hands on
// the words of an error only.
type keySet struct{ remote *oidc.RemoteKeySet }

func newKeySet(client *http.Client, address string) keySet {
	return keySet{oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), address)}
}

type missingKeys struct{}

// VerifySignature implements [oidc.KeySet].
func (k keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.remote.VerifySignature(ctx, token)
	if errors.Unwrap(err) != nil { // a signature that is wrong is an error of its own
		*ctx.Value(missingKeys{}).(*error) = err
	}
	return payload, err
}

// verify does what has a token verified. The error is wrong, or [ErrUnreachable] if
// the keys could not be had.
func verify[T any](ctx context.Context, wrong error, do func(context.Context, string) (T, error), token string) (T, error) {
	var missing error
	verified, err := do(context.WithValue(ctx, missingKeys{}, &missing), token)
	switch {
	case missing != nil:
		return verified, fmt.Errorf("%w: %s", ErrUnreachable, brief(missing))
	case err != nil:
		return verified, fmt.Errorf("%w: %s", wrong, brief(err))
	}
	return verified, nil
}

// brief is an error's text without most of what somebody else wrote into it.
func brief(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
	return clip(text)
}

// clip cuts a text that somebody else wrote.
func clip(text string) string {
	if len(text) > 300 {
		return strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

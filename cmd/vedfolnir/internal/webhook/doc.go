// Package webhook sends what people are told of their accounts to a program of the
// operator's, which can mail it to them.
//
// Messages are signed after the Standard Webhooks specification, 1.0
// (standardwebhooks.com): by HMAC-SHA256 over id, time and body, under one secret or,
// while it is being replaced, under two. They come out of an outbox that was filled
// in the transaction of what they tell: a message is sent until the receiver has
// answered it with a status of 200 to 299, by one node at a time, and, after a crash
// between the answer and the note of it, once more, under the same id. Messages about
// one person come in order; one that cannot be delivered holds back that person's
// later ones, until it is too old.
//
// A receiver is reached at an address that the operator allows, which is looked at
// when the connection is made and not before: a name may lead elsewhere by then. No
// redirect is followed, no proxy asked, and of an answer only its status counts.
package webhook

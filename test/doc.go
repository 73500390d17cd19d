// Package test holds what is true of the repository as a whole: which way the
// arrows point, what a consumer has to download, that every promise names a test
// that exists. The pages in a real browser are tested in e2e, beside it.
package test

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed/sign"
)

// A holder is the private keys that a verb signs with.
type holder struct {
	files, passphrases []string
}

func keyFlags(cmd *cobra.Command, h *holder) {
	cmd.Flags().StringArrayVar(&h.files, "key", nil, "sign with the private file `KEY`; may be repeated")
	cli.Files(cmd, "key", "key")
	passphraseFlag(cmd, &h.passphrases)
}

func passphraseFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "passphrase-file", nil, "take the passphrase from the first line of `FILE` instead of asking; one for each key, or one for all")
	cli.Files(cmd, "passphrase-file")
}

// A heldKey is a private file, opened.
type heldKey struct {
	person  string
	signers []sign.Signer
}

// open opens all private files.
func (h *holder) open(cmd *cobra.Command) (all []heldKey, err error) {
	if n := len(h.passphrases); n > 1 && n != len(h.files) {
		return nil, cli.Usagef("expected one --passphrase-file for each of %d keys, or one for all; got %d", len(h.files), n)
	}
	for i, name := range h.files {
		data, err := readPrivate(cmd, name)
		if err != nil {
			return nil, fmt.Errorf("cannot use the key %s: %w", name, err)
		}
		var passphrase string
		switch {
		case len(h.passphrases) > 1:
			passphrase, err = passphraseFrom(cmd, h.passphrases[i])
		case len(h.passphrases) == 1:
			passphrase, err = passphraseFrom(cmd, h.passphrases[0])
		default:
			passphrase, err = ask("passphrase of " + name + ": ")
		}
		if err != nil {
			return nil, err
		}
		private, err := release.OpenPrivate(data, passphrase)
		if err != nil {
			return nil, fmt.Errorf("cannot use the key %s: %w", name, err)
		}
		signers, err := private.Signers()
		if err != nil {
			return nil, fmt.Errorf("cannot use the key %s: %w", name, err)
		}
		all = append(all, heldKey{private.Name, signers})
	}
	return all, nil
}

// maxPrivate bounds a private file and a file with a passphrase, in bytes.
const maxPrivate = 64 << 10

func readPrivate(cmd *cobra.Command, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		say(cmd, "%s: others can read this file (mode %#o); hint: chmod 600", name, st.Mode().Perm())
	}
	return io.ReadAll(io.LimitReader(f, maxPrivate))
}

func passphraseFrom(cmd *cobra.Command, name string) (string, error) {
	data, err := readPrivate(cmd, name)
	if err != nil {
		return "", fmt.Errorf("cannot read the passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("cannot read the passphrase: the first line of %s is empty", name)
	}
	return line, nil
}

var errNoTerminal = errors.New("there is no terminal to ask at")

// ask asks a person for a secret, at the terminal even if stdin is another.
func ask(prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("cannot ask for the passphrase: %w; hint: --passphrase-file", errNoTerminal)
	}
	defer tty.Close()
	shown, err := hide(tty)
	if err != nil {
		return "", fmt.Errorf("cannot ask for the passphrase: %w", err)
	}
	defer shown()
	if _, err := io.WriteString(tty, prompt); err != nil {
		return "", fmt.Errorf("cannot ask for the passphrase: %w", err)
	}
	secret, err := term.ReadPassword(int(tty.Fd()))
	_, _ = io.WriteString(tty, "\n")
	if err != nil {
		return "", fmt.Errorf("cannot ask for the passphrase: %w", err)
	}
	return string(secret), nil
}

// hide switches the echo of a terminal off, before there is a prompt: whoever
// pastes at once would see the secret. shown switches it on again.
func hide(tty *os.File) (shown func(), err error) {
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	mode := *before
	mode.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &mode); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, before) }, nil // the terminal may be gone
}

// askNew asks for a new passphrase, twice.
func askNew(name string) (string, error) {
	first, err := ask("new passphrase for " + name + ": ")
	if err != nil {
		return "", err
	}
	if err := release.CheckPassphrase(first, name); err != nil {
		return "", err
	}
	second, err := ask("again: ")
	if err == nil && first != second {
		err = errors.New("the two passphrases are not the same")
	}
	return first, err
}

// confirm asks a person for consent, in a whole word.
func confirm(question string) error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return cli.Usagef("cannot ask for consent: %w; hint: --yes, where somebody has read it before", errNoTerminal)
	}
	defer tty.Close()
	if _, err := io.WriteString(tty, question+" Type yes to sign: "); err != nil {
		return fmt.Errorf("cannot ask for consent: %w", err)
	}
	answer, err := bufio.NewReader(tty).ReadString('\n')
	if err != nil {
		return fmt.Errorf("cannot ask for consent: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("not signed")
	}
	return nil
}

// exists demands that a file is not there yet.
func mustBeNew(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists; hint: a key file is never replaced, choose another name or folder", filepath.Clean(name))
	}
	return nil
}

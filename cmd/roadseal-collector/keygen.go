package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/collector"
	"roadseal/hal/durable"
)

func keygenCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "keygen -o FILE",
		Short: "make a receipt key",
		Long: `keygen writes a new receipt key (Ed25519, PKCS #8 PEM) to FILE, readable to you
alone, and prints its public half: what vehicles pin in [collector]
receipt_keys. It never overwrites a file.

The key is the word of your store. Whoever has it can make vehicles believe that
objects are stored. Keep a copy offline: with the key lost, vehicles keep what
they have until they are given a new one. OpenSSL makes the same:
  openssl genpkey -algorithm ed25519 -out FILE

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-collector keygen -o receipt.key`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := collector.GenerateKey()
			if err != nil {
				return err
			}
			if err := writeKey(out, k); err != nil {
				return err
			}
			say(cmd, "wrote %s; vehicles pin the line below in [collector] receipt_keys", out)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), k)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "write the key to `FILE`")
	cli.Required(c, "out")
	cli.Files(c, "out")
	return c
}

func writeKey(path string, k collector.Key) error {
	text, err := k.MarshalPEM()
	if err != nil {
		return err
	}
	dir, name := filepath.Split(filepath.Clean(path))
	if dir == "" {
		dir = "."
	}
	disk, err := durable.OpenExisting(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Usagef("%s: there is no folder %s", path, dir)
	}
	if err != nil {
		return fmt.Errorf("cannot write the key: %w", err)
	}
	defer disk.Close()
	f, err := disk.Create(name)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: there is a file already, and a key is never overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the key: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), disk.Sync(".")); err != nil {
		// Half a key is in nobody's way at the next try.
		return errors.Join(fmt.Errorf("cannot write the key: %w", err), disk.Remove(name))
	}
	return nil
}

// Command interoperability checks a Counterseal ledger with other people's software alone: nothing of this project is
// linked into it. Each word is one check; it prints a line and exits with 0 if the check holds, else says why and
// exits with 1.
//
//	checkpoint POLICY CHECKPOINT            the note under the policy: log line and a quorum's cosignatures (twice, by two libraries)
//	archive POLICY VKEYS CHECKPOINT         the note's ML-DSA-44 cosignatures, one vkey a line in VKEYS
//	receipt POLICY RECEIPT ENTRY            a tlog-proof of an entry (twice, by two libraries)
//	entries POLICY URL                      every entry and hash tile, read from URL and compared with the checkpoint
//	fsck POLICY URL                         every resource under URL made again from its entries
//	consistent POLICY OLD URL               the tree of the checkpoint OLD is the beginning of the tree at URL
//	seal VKEY CHECKPOINT                    the group's threshold signature, by a BLS12-381 library
package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"filippo.io/torchwood"
	"github.com/cloudflare/circl/sign/bls"
	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	merkleproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var checks = map[string]struct {
	words int
	run   func(context.Context, []string) (string, error)
}{
	"checkpoint": {2, checkpoint},
	"archive":    {3, archive},
	"receipt":    {3, receipt},
	"entries":    {2, entries},
	"fsck":       {2, check},
	"consistent": {3, consistent},
	"seal":       {2, seal},
}

func main() {
	words := os.Args[1:]
	if len(words) == 0 || checks[words[0]].words != len(words)-1 {
		fmt.Fprintln(os.Stderr, "which check, and its files? They are listed at the beginning of main.go.")
		os.Exit(2)
	}
	said, err := checks[words[0]].run(context.Background(), words[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(said)
}

// trust is a policy file as two libraries read it, and the keys of the log in it.
type trust struct {
	policy  torchwood.Policy
	group   witness.Group
	logs    []note.Verifier
	origin  string
	members []string
}

func read(path string) (*trust, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := &trust{}
	if found.policy, err = torchwood.ParsePolicy(raw); err != nil {
		return nil, fmt.Errorf("torchwood refuses the policy: %w", err)
	}
	witnesses := ""
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "log" {
			witnesses += line // formats knows policies of witnesses alone, without the keys of logs
			continue
		}
		verifier, err := fnote.NewVerifier(fields[1])
		if err != nil {
			return nil, fmt.Errorf("log key: %w", err)
		}
		found.logs, found.origin = append(found.logs, verifier), verifier.Name()
	}
	if found.group, err = witness.ParsePolicy([]byte(withURLs(witnesses))); err != nil {
		return nil, fmt.Errorf("formats refuses the policy: %w", err)
	}
	return found, nil
}

// withURLs gives each witness a URL where it has none: one of the two libraries demands one, and asks nothing there.
func withURLs(policy string) string {
	lines := strings.Split(policy, "\n")
	for place, line := range lines {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "witness" {
			lines[place] = fmt.Sprintf("%s https://%d.invalid/", line, place)
		}
	}
	return strings.Join(lines, "\n")
}

// signed is the log's own word for a note: the key of any member that signs for the origin.
func (t *trust) signed(raw []byte) (*log.Checkpoint, note.Verifier, error) {
	err := errors.New("the policy names no log")
	for _, verifier := range t.logs {
		parsed, _, _, refused := log.ParseCheckpoint(raw, t.origin, verifier)
		if refused == nil {
			return parsed, verifier, nil
		}
		err = refused
	}
	return nil, nil, err
}

func checkpoint(_ context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(words[1])
	if err != nil {
		return "", err
	}
	tree, opened, err := torchwood.VerifyCheckpoint(raw, known.policy)
	if err != nil {
		return "", fmt.Errorf("torchwood: %w", err)
	}
	parsed, _, err := known.signed(raw)
	if err != nil {
		return "", fmt.Errorf("formats: %w", err)
	}
	if !known.group.Satisfied(raw) {
		return "", errors.New("formats: the policy's quorum did not cosign")
	}
	if parsed.Size != uint64(tree.N) || [32]byte(parsed.Hash) != tree.Hash {
		return "", errors.New("the two libraries read different trees")
	}
	return fmt.Sprintf("checkpoint of %d entries: %d lines verified by two libraries", tree.N, len(opened.Sigs)), nil
}

func archive(_ context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	keys, err := os.ReadFile(words[1])
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(words[2])
	if err != nil {
		return "", err
	}
	_, verifier, err := known.signed(raw)
	if err != nil {
		return "", err
	}
	count := 0
	for _, vkey := range strings.Fields(string(keys)) {
		member, err := fnote.NewMLDSAVerifier(vkey)
		if err != nil {
			return "", err
		}
		_, _, opened, err := log.ParseCheckpoint(raw, known.origin, verifier, member)
		if err != nil {
			return "", err
		}
		count += len(opened.Sigs) - 1
	}
	if count == 0 {
		return "", errors.New("no line by any of these keys")
	}
	return fmt.Sprintf("archival checkpoint: %d ML-DSA-44 cosignatures verified", count), nil
}

func receipt(_ context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(words[1])
	if err != nil {
		return "", err
	}
	entry, err := os.ReadFile(words[2])
	if err != nil {
		return "", err
	}
	if err := torchwood.VerifyProof(known.policy, tlog.RecordHash(entry), raw); err != nil {
		return "", fmt.Errorf("torchwood: %w", err)
	}
	var parsed proof.TLogProof
	if err := parsed.Unmarshal(raw); err != nil {
		return "", fmt.Errorf("formats: %w", err)
	}
	if string(parsed.Marshal()) != string(raw) {
		return "", errors.New("formats writes the receipt differently")
	}
	tree, _, err := known.signed(parsed.Checkpoint)
	if err != nil {
		return "", fmt.Errorf("formats: %w", err)
	}
	path := make([][]byte, len(parsed.Hashes))
	for place, hash := range parsed.Hashes {
		path[place] = hash[:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	err = merkleproof.VerifyInclusion(rfc6962.DefaultHasher, parsed.Index, tree.Size, leaf, path, tree.Hash)
	if err != nil {
		return "", fmt.Errorf("merkle: %w", err)
	}
	return fmt.Sprintf("entry %d is under a checkpoint of %d entries, by two libraries", parsed.Index, tree.Size), nil
}

func entries(ctx context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	reader, err := torchwood.NewTileFetcher(words[1], torchwood.WithTileFetcherLogger(slog.Default()))
	if err != nil {
		return "", err
	}
	raw, err := reader.ReadEndpoint(ctx, "cosignatures")
	if err != nil {
		return "", err
	}
	tree, _, err := torchwood.VerifyCheckpoint(raw, known.policy)
	if err != nil {
		return "", err
	}
	all, err := torchwood.NewClient(reader)
	if err != nil {
		return "", err
	}
	count, bytes := int64(0), 0
	for _, entry := range all.AllEntries(ctx, tree.Tree, 0) {
		count, bytes = count+1, bytes+len(entry)
	}
	if all.Err() != nil {
		return "", all.Err()
	}
	if count != tree.N {
		return "", fmt.Errorf("found %d entries under a checkpoint of %d", count, tree.N)
	}
	return fmt.Sprintf("%d entries (%d bytes) read and compared with the checkpoint", count, bytes), nil
}

func open(place string) (*client.HTTPFetcher, error) {
	root, err := url.Parse(strings.TrimSuffix(place, "/") + "/")
	if err != nil {
		return nil, err
	}
	return client.NewHTTPFetcher(root, nil)
}

func check(ctx context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	source, err := open(words[1])
	if err != nil {
		return "", err
	}
	raw, err := source.ReadCheckpoint(ctx)
	if err != nil {
		return "", err
	}
	tree, verifier, err := known.signed(raw)
	if err != nil {
		return "", err
	}
	hash := func(raw []byte) ([][]byte, error) {
		bundle := api.EntryBundle{}
		if err := bundle.UnmarshalText(raw); err != nil {
			return nil, err
		}
		leaves := make([][]byte, 0, len(bundle.Entries))
		for _, entry := range bundle.Entries {
			leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(entry))
		}
		return leaves, nil
	}
	if err := fsck.New(known.origin, verifier, source, hash, fsck.Opts{N: 2}).Check(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("everything under a checkpoint of %d entries is what its entries make", tree.Size), nil
}

func consistent(ctx context.Context, words []string) (string, error) {
	known, err := read(words[0])
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(words[1])
	if err != nil {
		return "", err
	}
	old, verifier, err := known.signed(raw)
	if err != nil {
		return "", err
	}
	source, err := open(words[2])
	if err != nil {
		return "", err
	}
	one := client.UnilateralConsensus(source.ReadCheckpoint)
	follower, err := client.NewLogStateTracker(ctx, source.ReadTile, raw, verifier, known.origin, one)
	if err != nil {
		return "", err
	}
	if _, _, _, err := follower.Update(ctx); err != nil {
		return "", err
	}
	now := follower.Latest()
	return fmt.Sprintf("the tree of %d entries is the beginning of the tree of %d", old.Size, now.Size), nil
}

// sealKind is how the key and the lines of seals are told from all others: type 0xff, then these words.
const sealKind = "\xffcounterseal/seal/v1"

// sealLine is what a seal line holds behind its key ID: epoch, view, height, time, block digest, signature.
const sealBytes = 4*8 + 32 + 48

func seal(_ context.Context, words []string) (string, error) {
	written, err := os.ReadFile(words[0])
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(words[1])
	if err != nil {
		return "", err
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(string(written)), "+")
	id, encoded, _ := strings.Cut(rest, "+")
	typed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !strings.HasPrefix(string(typed), sealKind) {
		return "", errors.New("this is not the vkey of a seal")
	}
	computed := sha256.Sum256(append([]byte(name+"\n"), typed...))
	if id != hex.EncodeToString(computed[:4]) {
		return "", errors.New("the vkey's ID is not that of its key")
	}
	group := new(bls.PublicKey[bls.KeyG2SigG1])
	if err := group.UnmarshalBinary(typed[len(sealKind):]); err != nil {
		return "", fmt.Errorf("group key: %w", err)
	}
	text, lines, found := strings.Cut(string(raw), "\n\n")
	if !found || !strings.HasPrefix(text, name+"\n") {
		return "", errors.New("this is not a checkpoint of the key's origin")
	}
	for line := range strings.Lines(lines) {
		blob, isMine := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "+name+" ")
		given, err := base64.StdEncoding.DecodeString(blob)
		if !isMine || err != nil || len(given) != 4+sealBytes || [4]byte(given) != [4]byte(computed[:4]) {
			continue
		}
		fields := given[4:]
		number := func(place int) uint64 { return binary.BigEndian.Uint64(fields[8*place:]) }
		message := fmt.Sprintf("counterseal/seal/v1\nepoch %d\nview %d\nheight %d\ntime %d\nblock %s\n%s\n",
			number(0), number(1), number(2), number(3), base64.StdEncoding.EncodeToString(fields[32:64]), text)
		if !bls.Verify(group, []byte(message), fields[64:]) {
			return "", errors.New("the seal is not the group's over this checkpoint")
		}
		return fmt.Sprintf("the seal over %s entries, of block %d, is the group's", strings.Split(text, "\n")[1], number(2)), nil
	}
	return "", errors.New("no seal by this key")
}

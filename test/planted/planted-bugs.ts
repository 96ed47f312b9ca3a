/** Faults that a bridge must not have, each a change of the source. The suites have to find every one of them. */

export interface PlantedBug {
  readonly name: string;
  /** Below src; the text must stand there exactly once. */
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** Vitest files or folders of which at least one has to fail. */
  readonly tests: readonly string[];
  /** Torture runs that have to find it too: seeds. Empty where it takes what the torture's server does not do. */
  readonly seeds: readonly number[];
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'early delete: a session that ends without QUIT deletes what was marked',
    changes: [
      {
        file: 'daemon/connection.ts',
        from: '    this.#hasEnded = true;\n    this.#cancelTimer();\n',
        to: [
          '    this.#hasEnded = true;',
          "    if (this.#state.phase === 'TRANSACTION') {",
          '      const session = this.#session;',
          '      this.#session = undefined;',
          '      void session?.commit(this.#state.maildrop.updatePlan()).finally(() => session.close());',
          '    }',
          '    this.#cancelTimer();',
          '',
        ].join('\n'),
      },
    ],
    tests: ['test/fault', 'test/unit/daemon/connection.test.ts'],
    seeds: [1, 2],
  },
  {
    name: 'sequence numbers as unique-ids',
    changes: [{ file: 'pop3/transaction.ts', from: '`${entry.number} ${entry.uniqueId}`', to: '`${entry.number} m${entry.number}`' }],
    tests: ['test/fault', 'test/unit/pop3'],
    seeds: [1, 2],
  },
  {
    name: 'bare EXPUNGE',
    changes: [
      {
        file: 'upstream/imap-mailbox.ts',
        from: '    return this.#ask(`UID EXPUNGE ${set}`, signal);\n',
        to: "    return this.#ask(set === '' ? set : 'EXPUNGE', signal);\n",
      },
    ],
    tests: ['test/fault', 'test/integration/dovecot-mailbox.test.ts'],
    // Where deleted mail goes to the trash, as with even seeds, Dovecot is told to MOVE.
    seeds: [1, 3],
  },
  {
    name: 'a final dot behind a message that was cut',
    changes: [
      {
        file: 'daemon/connection.ts',
        from: "      if (begun) this.#tally.conclude('cut');\n",
        to: '      if (begun) {\n        await this.#client.write("\\r\\n.\\r\\n");\n        await this.#client.flush();\n      }\n',
      },
    ],
    tests: ['test/fault', 'test/unit/daemon/connection.test.ts'],
    seeds: [1, 2],
  },
  {
    name: 'QUIT lies: +OK whatever became of the deletions',
    changes: [
      {
        file: 'daemon/connection.ts',
        from: "      return { on: 'updated', outcome };\n",
        to: "      return { on: 'updated', outcome: { result: 'done' } };\n",
      },
    ],
    tests: ['test/fault'],
    seeds: [1, 2],
  },
  {
    name: 'one key for the cached bodies of all users',
    changes: [
      {
        file: 'upstream/imap-session.ts',
        from: 'bodies.of([this.server, user, selected.path, selected.uidValidity])',
        to: 'bodies.of([this.server, user === "" ? user : selected.path])',
      },
    ],
    tests: ['test/fault', 'test/integration'],
    seeds: [1, 2],
  },
  {
    name: 'unique-ids without UIDVALIDITY: another message gets an old one',
    changes: [
      {
        file: 'maildrop/unique-id.ts',
        from: "['popbridge', '{folder:08x}.{uidvalidity:08x}.{uid:08x}']",
        to: "['popbridge', '{folder:08x}.00000000.{uid:08x}']",
      },
    ],
    tests: ['test/unit/maildrop'],
    // What is given twice gets a longer id, and no client sees it.
    seeds: [],
  },
  {
    name: 'a line that begins with a dot is not stuffed where a chunk begins with it',
    changes: [
      { file: 'pop3/dot-stuffer.ts', from: 'atLineStart && input[0] === DOT ? [0] : []', to: 'atLineStart && input[0] === LF ? [0] : []' },
    ],
    tests: ['test/unit/pop3'],
    seeds: [1, 2],
  },
  {
    name: 'the lock is given back before UPDATE is done',
    changes: [
      {
        file: 'daemon/maildrop-session.ts',
        from: '    this.#parts.link.endReading();\n    for (const { mailbox, seen, remove }',
        to: '    this.#parts.link.endReading();\n    this.#parts.release();\n    for (const { mailbox, seen, remove }',
      },
    ],
    tests: ['test/fault', 'test/unit/daemon', 'test/process'],
    seeds: [],
  },
  {
    name: 'a message whose row the server leaves out is removed unseen',
    changes: [
      {
        file: 'daemon/same-messages.ts',
        from: 'const doubtful = uids.filter((uid) => !isSame(uid));',
        to: 'const doubtful = uids.filter((uid) => first.found.has(uid) && !isSame(uid));',
      },
    ],
    tests: ['test/fault/verification.test.ts', 'test/unit/daemon'],
    // Dovecot leaves out none.
    seeds: [],
  },
  {
    name: 'a bare CR ends a line of a header',
    changes: [{ file: 'maildrop/message-id.ts', from: '(?:^|\\\\n)${name}[ \\\\t]*:', to: '(?:^|\\\\n|\\\\r)${name}[ \\\\t]*:' }],
    tests: ['test/unit/maildrop'],
    seeds: [],
  },
  {
    name: 'a message is hidden because a search says so, whatever its FLAGS are',
    changes: [
      {
        file: 'upstream/listing.ts',
        from: "  const proven = new Set(await confirmed(runner, doubtful, 'DELETED', signal));\n",
        to: "  const proven = new Set(doubtful);\n  if (proven.size < 0) await confirmed(runner, doubtful, 'DELETED', signal);\n",
      },
    ],
    tests: ['test/fault/listing-claims.test.ts'],
    seeds: [],
  },
  {
    name: 'a search may name messages that it was not asked about',
    changes: [
      {
        file: 'upstream/finding.ts',
        from: '    if (named !== undefined && known.length < named.count) throw stranger(asked, named);\n    found = found.concat(known);\n',
        to: '    if (named !== undefined && known.length < 0) throw stranger(asked, named);\n    found = found.concat(named?.toUids(1000) ?? known);\n',
      },
    ],
    tests: ['test/fault/server-claims.test.ts'],
    seeds: [],
  },
  {
    name: 'fewer copies than messages are good enough to expunge all of them',
    changes: [
      {
        file: 'imap/copy-answer.ts',
        from: '  if (source.count !== copies.count) throw',
        to: '  if (source.count < 0 && copies.count < 0) throw',
      },
    ],
    tests: ['test/unit/imap/copy-answer.test.ts'],
    seeds: [],
  },
  {
    name: 'an EXISTS of 0 empties the maildrop',
    changes: [
      {
        file: 'upstream/listing.ts',
        from: '    const isEmpty = await isReallyEmpty(parts, known, now, signal);\n',
        to: '    const isEmpty = exists === 0 || (await isReallyEmpty(parts, known, now, signal));\n',
      },
    ],
    tests: ['test/fault/listing-claims.test.ts'],
    seeds: [],
  },
  {
    name: 'a folder that the list leaves out vanishes',
    changes: [
      {
        file: 'daemon/maildrop-folders.ts',
        from: '  const leftOut = (await shownBefore()).filter(',
        to: '  const leftOut = (await shownBefore()).slice(0, 0).filter(',
      },
    ],
    tests: ['test/fault/folders-that-fail.test.ts'],
    seeds: [],
  },
  {
    name: 'a message that goes while another comes below the last one is taken for known',
    changes: [
      {
        file: 'upstream/listing.ts',
        from: ' && found.among(compared).length === compared.length',
        to: '',
      },
    ],
    tests: ['test/fault/listing-claims.test.ts'],
    seeds: [],
  },
  {
    name: 'a command that the server has lost is never sent again',
    changes: [
      {
        file: 'upstream/sent-commands.ts',
        from: '    if (first === undefined || !isTooEarly(first)) return false;\n',
        to: '    if (first === undefined || isTooEarly(first) || !isTooEarly(first)) return false;\n',
      },
    ],
    tests: ['test/fault/refused-ways.test.ts'],
    seeds: [],
  },
  {
    name: 'a server may say as much as it likes before the login',
    changes: [
      {
        file: 'upstream/gated-socket.ts',
        from: 'this.#loginOctets > MAX_LOGIN_OCTETS)',
        to: 'this.#loginOctets > MAX_LOGIN_OCTETS * 1e9)',
      },
    ],
    tests: ['test/unit/upstream/securing.test.ts'],
    seeds: [],
  },
  {
    name: 'a folder that is gone is never known to be missing',
    changes: [
      {
        file: 'upstream/imap-connection.ts',
        from: 'this.memory.noteMissing(path, true)',
        to: 'this.memory.noteMissing(path, false)',
      },
    ],
    tests: ['test/fault/folders-that-fail.test.ts'],
    seeds: [],
  },
  {
    name: 'a login gives up after the second connection that ends over a message',
    changes: [
      {
        file: 'daemon/login.ts',
        from: 'const MAX_ATTEMPTS = 40;',
        to: 'const MAX_ATTEMPTS = 2;',
      },
    ],
    tests: ['test/fault/unlistable-messages.test.ts'],
    seeds: [],
  },
  {
    name: 'a server in trouble leaves messages that are never listed again',
    changes: [
      {
        file: 'upstream/isolation.ts',
        from: 'this.#doubt(this.#found);',
        to: 'this.#doubt([]);',
      },
    ],
    tests: ['test/unit/upstream/isolation.test.ts'],
    seeds: [],
  },
];

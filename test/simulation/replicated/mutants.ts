import type { Mutant } from '../mutants.js'

const one = (name: string, flaw: string, find: string, replace: string): Mutant => ({ name, flaw, edits: [{ find, replace }] })

const RECEIPT = `isWritten(receipt) && receipt.exit.status === 'ok'`
const CHANGE = `return { op: 'cas', cas: record.cas, wantCas: this.exit.op === 'cas', ...item }`
const ORDER = `const { before, after } = wordsOn(one, other)`
const NO_ORDER = `const [before, after] = [0, 0]`
const MINORITY = `sorted.change !== undefined && !this.council.isMajority([...this.targets.keys()])`

/** A store that asks for no version. */
const UNFENCED = `return { op: 'set', ...item }`

/** Each of these mutants must be caught: by the story of its name (stories.ts), or by drawn runs. */
export const mutants: readonly Mutant[] = [
  {
    name: 'addsRecords',
    flaw: 'Where a node has no record it is added, and carried out late, where it was evicted, an old copy stands there.',
    edits: [
      { find: `if (key === undefined || bare.length === 0) return ask(set, this, this.members)`, replace: `if (bare.length >= 0) return ask(set, this, this.members)` },
      {
        find: `if (value === undefined || change === undefined || record?.cas === undefined) return undefined
    const item`,
        replace: `if (value === undefined || change === undefined) return undefined
    if (record?.cas === undefined) return { op: 'add', key: change.key, value, ttlSec, flags: flagsOf(change) }
    const item`,
      },
      { find: `const at = this.stored === undefined || target?.record?.cas === undefined ? 0 : 1`, replace: `const at = this.stored === undefined || target === undefined ? 0 : 1` },
    ],
  },
  one('noReceipt', 'A write counts whether or not the lock was ours behind it.', RECEIPT, `isWritten(receipt)`),
  one('noDataFence', 'The record is written over whatever stands there.', CHANGE, UNFENCED),
  {
    name: 'redlock',
    flaw: 'A lock on a majority and its lease, and nothing that fences the record.',
    edits: [{ find: RECEIPT, replace: `isWritten(receipt)` }, { find: CHANGE, replace: UNFENCED }],
  },
  {
    name: 'neitherTokenNorFence',
    flaw: 'As PHP does it: whoever lets go deletes the lock that stands there, and the record is written over.',
    edits: [
      { find: RECEIPT, replace: `isWritten(receipt)` },
      { find: CHANGE, replace: UNFENCED },
      {
        find: `const exit: Exit = { ...this.exit, cas: target.lock.cas }`,
        replace: `const exit: Command = this.exit.op === 'cad' ? { op: 'delete', key: this.exit.key } : { ...this.exit, cas: target.lock.cas }`,
      },
    ],
  },
  {
    name: 'writeMajority',
    flaw: 'A write is acknowledged when a majority has stored it, and the newest is the one with the highest count.',
    edits: [{ find: RECEIPT, replace: `isWritten(receipt)` }, { find: ORDER, replace: NO_ORDER }],
  },
  one('orderByCount', 'Copies are ordered by their counts, and not by their locks.', ORDER, NO_ORDER),
  one('unacknowledgedWins', 'Where nodes disagree about which of two copies is newer the counts decide, although one of them cannot have been acknowledged.', `if (before > 0 && more !== 0) return more > 0`, ``),
  one('oneNameForAll', 'All nodes are given one incarnation, so that the versions of one are compared with those of another.', `Buffer.from(this.options.random.bytes(INCARNATION_BYTES)).toString('hex')`, `'f5cb24d5c422'`),
  one('oneIsEnough', 'A write is acknowledged when one node has stored it under the lock.', `const isAcknowledged = this.council.isMajority(nodesOf(receipts))`, `const isAcknowledged = receipts.length >= 1`),
  {
    name: 'writesElsewhere',
    flaw: 'The record is also written to nodes that have not granted the lock, and counts there.',
    edits: [
      { find: `const record = recordIn(granted)`, replace: `const record = recordIn(votes)` },
      {
        find: `    this.adviser = sorted.advice === undefined ? undefined : this.members[0]`,
        replace: `    for (const [node, record] of known?.parts ?? []) {
      if (!this.targets.has(node)) this.targets.set(node, { lock: { cas: { version: '1', asOf: Infinity }, incarnation: '' }, record })
    }
    this.adviser = sorted.advice === undefined ? undefined : this.members[0]`,
      },
      { find: `exit: replies[at] ?? MISSING,`, replace: `exit: target?.lock.incarnation === '' ? OK : (replies[at] ?? MISSING),` },
    ],
  },
  one('bareDelete', 'A session is destroyed by deleting its record.', CHANGE, `if (change.value.length === 0) return { op: 'delete', key: item.key }
    ${CHANGE}`),
  one('emptiedCounts', 'What an emptied node does not have outvotes what another one has.', `if (statements.length >= replicas) return true`, `if (statements.length >= majority) return true`),
  one('emptiedIsWhole', 'A node that came back empty passes for one that has all it should have.', `await this.mark(unmarked, { isWhole: false, listed: UNSAID })`, `await this.mark(unmarked, { isWhole: true, listed: UNSAID })`),
  one('readsOne', 'A read believes the first node that answers.', `if (!council.isMajority(nodesOf(heard))) return false
    return !sorted.readsRecord || isComplete(heard, set.quorum, council)`, `return heard.length > 0`),
  one('believesAnyone', 'The base of a write is the copy of any node, and not the newest.', `if (newest === undefined || isNewer(copy.head, newest.head)) newest = copy`, `newest ??= copy`),
  {
    name: 'minorityWrites',
    flaw: 'A lock of which only a minority is left is written under.',
    edits: [{ find: MINORITY, replace: `false` }, { find: `lock !== undefined && (!errand.sorted.readsRecord`, replace: `lock !== undefined && (true` }],
  },
  one('partialIsFenced', 'A write that one node has stored is told as refused.', `if (isChange && (isUnclear || heard.some(([, left]) => isWritten(left)))) {`, `if (isChange && isUnclear) {`),
  {
    name: 'resolvedByReading',
    flaw: 'A write is believed stored because one node shows it.',
    edits: [
      { find: `this.context.wire.quorum === undefined ? this.judgeExists()`, replace: `true ? this.judgeExists()` },
      { find: `have stored it under the lock\`, { isFinal: true }`, replace: `have stored it under the lock\`, { isFinal: false }` },
    ],
  },
  one('keepsStrays', 'A lock that one node has not heard the end of stands there for its lease.', `    for (const node of [...this.strays, ...nodes]) this.leave(this.errand.set.members[node])`, ''),
  one('keepsUnclear', 'A lock that was kept by a write that came to nothing stands for its lease where it was.', `      this.abandon()
      return receiver`, `      return receiver`),
  one('keepsRefused', 'A lock that was kept where the write was refused stands for its lease: its holder was told that it is lost.', `this.abandon(isChange ? undefined : nodesOf(`, `this.abandon(isChange ? [] : nodesOf(`),
  one('looksInVain', 'A look for such a lock counts although the node has not answered.', `if (seen !== 'unanswered') return`, `return`),
  one('forgetsLate', 'A lock that was handed on where nobody waited for that any more is taken off once; if that is lost it stands for its lease.', `member.takeOff(this.route, this.exit.key, cas, () => this.leave(member))`, `member.takeOff(this.route, this.exit.key, cas, () => undefined)`),
  one('unlistedIsSilent', 'A node that nobody has put on the list counts as unheard, although it has said that it has no copy.', ` || (isUnlisted(ballot.mark) && ballot.copy === undefined)`, ''),
  one('straightTakesAny', 'In the straight way the copy of any node is built upon, whatever the others have.', `leg.mark === undefined || !this.isSameAsOthers(leg)`, `leg.mark === undefined`),
  one('straightOneIsEnough', 'In the straight way a write is acknowledged when the first node has stored it.', `if (--this.left > 0) return this.wait()`, `if (--this.left > this.legs.length) return this.wait()`),
  one('seizesNothing', 'A session is destroyed without its lock by those who do not have it.', `await seizeAndEnd(this.context, id, keys)\n      if (failure`, `undefined\n      if (failure`),
  one('repairsUnheard', 'A node is called whole although others that may have its sessions were not listed.', `return knowing.every(({ node }) => listed.has(node)) || unheard <= replicas - majority`, `return true`),
  one('repairsNothing', 'An emptied node is called whole although sessions are missing there.', `return areAlike && missing.length === 0 && away`, `return true || away`),
  one('repairSeesOne', 'A session counts as the same on all nodes although no majority of them has said so.', `if (newest === undefined || replicas - away.length < majority) return false`, `if (newest === undefined) return false`),
  one('oneMajority', 'While the list is changed a majority of the old nodes alone decides.', `[sides.old, sides.new] : [sides.old]`, `[sides.old] : [sides.old]`),
  one('changeKnowsTooEarly', 'While sessions are carried over the new nodes count as those that know what there is.', `const known = isMoved ? sides.new : sides.old`, `const known = stages.includes('old') ? sides.old : sides.new`),
  one('oldDecidesTooLong', 'When sessions have been carried over a majority of the old nodes alone decides still.', `isMoved || stages.includes('moving') ?`, `!isMoved && stages.includes('moving') ?`),
  one('oldKnowsTooLong', 'When sessions have been carried over the old nodes count still as those that know what there is.', `const known = isMoved ? sides.new : sides.old`, `const known = sides.old`),
  one('newDecidesTooEarly', 'The new nodes alone decide as soon as one node says that sessions have been carried over.', `isMoved && isOver ? [sides.new]`, `isMoved ? [sides.new]`),
  one('changeUnbegun', 'Sessions are carried over although nodes do not know of the change yet.', `isBegun: this.areEnough(states, isOnItsWay)`, `isBegun: true`),
  one('endsUntold', 'The new list counts although nodes of the old one were not told that sessions have been carried over.', `if (!this.areEnough(old, ({ node }) => told.has(node))) return false`, ''),
  one('changeOverlooksLocks', 'Sessions that are locked and have no record yet are not carried over.', `seesLocks ? recordBeside(this.engine, key) : key`, `key`),
  one('repairOverlooksLocks', 'A node is called whole although a lock that it has lost may still be held.', `return this.nodes.isChanging || this.states.some(({ state }) => state === 'emptied')`, `return this.nodes.isChanging`),
  one('reservesBlindly', 'A place for a new record is used although the lock may have gone before it was made.', `if (lock?.value === undefined || !areSameBytes(lock.value, token)) return NO_PLACE`, ``),
  one('repairLeavesPlaces', 'A repair leaves the place of a record that was never put into it.', `if (this.seesLocks && item.locker === this.engine.locker) await handle.end()`, ``),
  one('changeTrustsItsEyes', 'A session that is the same on all nodes is not locked before it counts as carried over.', `sight !== undefined && !this.nodes.isChanging && this.isWell(sight)`, `sight !== undefined && this.isWell(sight)`),
  one('listUnheeded', 'Nobody looks at which list a node is on.', `return listed.endsWith(TO + name) ? 'behind' : 'foreign'`, `return 'new'`),
  one('changeEndsUnmoved', 'The change ends although sessions were left out.', `const obstacle = this.obstacle(isListed) ?? ((await`, `const obstacle = ((await`),
  one('repairDestroys', 'A repair that has lost its lock destroys what has begun since where it wanted to store a tombstone.', `if (record.length === 0) return handle.end()`, `if (record.length === 0) return handle.destroy()`),
  one('repairsNoTombstones', 'A repair leaves out the sessions that were destroyed.', `if (handle.record === undefined) {`, `if (handle.record?.length === 0) return 'gone'
        if (handle.record === undefined) {`),
]

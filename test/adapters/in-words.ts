import type { Command } from '../../src/wire/wire.js'
import type { TapWire } from './express/tap-wire.js'

/** What a command does to a record, and to a lock, in the words of docs/reference/adapters.md. */
const WORDS: Readonly<Record<string, readonly [record: string, lock: string]>> = {
  get: ['read', 'look'],
  add: ['store', 'lock'],
  cas: ['store', 'renew'],
  set: ['store', 'lock'],
  touch: ['prolong', 'renew'],
  cad: ['', 'free'],
  delete: ['', 'free'],
}

/** The flights of a wire as the tables of docs/reference/adapters.md write them. */
export const inWords = (wire: TapWire | undefined): string =>
  (wire?.flights ?? []).map((commands) => commands.map((command) => word(command, wire?.names.of(command) ?? '')).join('+')).join(', ')

const word = ({ key }: Command, name: string): string => WORDS[name]?.[key.endsWith('-lck') ? 1 : 0] ?? name

/** A cell of a table without what it says in brackets, which is for people. */
export const played = (cell: string): string => cell.replace(/ ?\([^)]*\)/g, '')

import { newSid } from '../sid.js'
import type { Dialect } from './dialect.js'
import { idOfOwnKey, PhpLayout, phpListsKey } from './php-layout.js'
import type { PhpSettings } from './php-options.js'
import { phpRecords, phpSerializer } from './php-records.js'

/** How each extension of PHP keeps its sessions (php-memcached 3.2, pecl-memcache 4.0 and 8.0). */
const EXTENSIONS = {
  memcached: {
    lockName: { before: 'lock.', after: '' },
    // The session handler never looks at the flags.
    hasStamps: true,
    freeLock: undefined,
  },
  memcache: {
    lockName: { before: '', after: '.lock' },
    // Some bits are types and compression: a record with them reads as an empty session, which PHP then writes over it.
    hasStamps: false,
    // A counter, which is set back and not deleted.
    freeLock: '0',
  },
} as const

/** PHP's way: sessions that PHP's extension reads, locks and writes at the same time. */
export function phpDialect(php: PhpSettings): Dialect {
  const { extension, prefix, ring, serializeHandler, standBackMs, sidLength, sidBitsPerCharacter } = php
  const { lockName, hasStamps, freeLock } = EXTENSIONS[extension]
  const { before, after } = lockName
  const lockPart = (id: string): string => before + id + after
  return {
    prefix,
    layoutFor: (store) => new PhpLayout(prefix, lockName, store),
    listsKey: phpListsKey(prefix),
    placement: {
      ring: extension === 'memcached' ? ring : 'single',
      // PHP gives its client the prefix apart, and the client hashes what is behind it. The line lives beside its lock.
      hashedPart(key) {
        const rest = key.slice(prefix.length)
        const id = idOfOwnKey(rest)
        return id === undefined ? rest : lockPart(id)
      },
      hashedPartOf: lockPart,
    },
    hasStamps,
    // PHP takes a record of no bytes for a session in which nothing is stored yet.
    hasTombstones: false,
    isBoundToRecord: true,
    freeLock,
    standBackMs,
    format: phpRecords,
    serializer: phpSerializer(serializeHandler),
    createSid: (random) => newSid(random, sidLength, sidBitsPerCharacter),
    php,
  }
}

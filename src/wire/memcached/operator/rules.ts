import { hasMetaCommands, META_SINCE } from '../release.js'
import { bytes, duration } from '../../../system/format.js'
import type { Finding } from '../../operated-store.js'
import { numberOf, type ServerFacts, sumOf } from './server-facts.js'

/**
 * Says what the facts of one server mean for sessions. The rules are pure, so that each can be tested without a server.
 */

type Rule = (facts: ServerFacts) => Finding | undefined

const MIB = 1024 * 1024
const SMALL_MEMORY_BYTES = 16 * MIB
const SMALL_ITEM_BYTES = 256 * 1024
/** The default lease. The server does not evict a lock for lack of memory if the lease is below its temporary_ttl. */
const LEASE_SEC = 15
const SKEW_ADVICE_SEC = 2
const SKEW_PROBLEM_SEC = 60
const FULL_SHARE = 0.8
const SHORT_IDLE_SEC = 60
const LOOPBACK = /^(?:127\.|\[?::1\]?$|localhost$)/

const RULES: readonly Rule[] = [
  ({ version, server }) => {
    if (server.protocol === 'binary' || hasMetaCommands(version)) return undefined
    return {
      code: 'version-old',
      severity: 'advice',
      message: `memcached ${version} has no meta commands that latchkey could use: each session takes more of its CPU time.`,
      advice: `Use memcached ${META_SINCE} or later.`,
    }
  },
  ({ version }) => {
    if (!/^1\.6\.[01]\b/.test(version)) return undefined
    return {
      code: 'version-known-bad',
      severity: 'problem',
      message: `memcached ${version} can be crashed by a single packet (CVE-2020-10931).`,
      advice: 'Use memcached 1.6.2 or later.',
    }
  },
  ({ settings }) => {
    if (settings.get('cas_enabled') !== 'no') return undefined
    return {
      code: 'cas-disabled',
      severity: 'problem',
      message: 'It runs without CAS (-C): no write can be fenced and no lock let go safely. It is of no use here.',
      advice: 'Start it without -C (--disable-cas).',
    }
  },
  ({ stats, items }) => {
    const refused = Math.max(sumOf(items, 'outofmemory'), numberOf(stats, 'store_no_memory'))
    if (refused === 0) return undefined
    return {
      code: 'out-of-memory',
      severity: 'problem',
      message: `It refused ${String(refused)} writes for want of memory since it was started.`,
      advice: 'Give it more memory (-m); with -M, remember that nothing is evicted to make room.',
    }
  },
  ({ items, settings }) => {
    const evicted = sumOf(items, 'evicted_nonzero')
    if (evicted === 0) return undefined
    const [unread, recent] = [sumOf(items, 'evicted_unfetched'), sumOf(items, 'evicted_active')]
    const areLocksSafe = settings.get('temp_lru') === 'yes'
    return {
      code: 'evicting-sessions',
      severity: 'problem',
      message:
        `It evicted ${String(evicted)} items before their time since it was started (of all, ${String(unread)} ` +
        `were never read and ${String(recent)} in use): lost sessions${areLocksSafe ? '' : ', maybe lost locks'}.`,
      advice: `Give it more memory (-m)${areLocksSafe ? '' : ', and keep locks in it with -o temporary_ttl=61'}.`,
    }
  },
  ({ settings }) => {
    if (settings.get('temp_lru') !== 'no') return undefined
    return {
      code: 'temporary-lru-off',
      severity: 'advice',
      message: 'Locks are evicted like everything else when memory runs short, and a lock that is evicted is lost.',
      advice: 'Start it with -o temporary_ttl=61, which keeps items that live for less than that from being evicted.',
    }
  },
  ({ settings }) => {
    const ttlSec = numberOf(settings, 'temporary_ttl')
    if (settings.get('temp_lru') !== 'yes' || ttlSec > LEASE_SEC) return undefined
    return {
      code: 'temporary-ttl-short',
      severity: 'advice',
      message: `temporary_ttl is ${String(ttlSec)} and leaseSec ${String(LEASE_SEC)} by default: locks can be evicted.`,
      advice: 'Start it with -o temporary_ttl=61, or with any number above leaseSec.',
    }
  },
  ({ settings }) => {
    if (settings.get('evictions') !== 'off') return undefined
    return {
      code: 'evictions-off',
      severity: 'advice',
      message: 'It evicts nothing (-M): when memory runs out, no session can be begun or grow until others expire.',
      advice: 'Watch its memory; or start it without -M, if losing old sessions is better than refusing new ones.',
    }
  },
  ({ stats }) => {
    const limitBytes = numberOf(stats, 'limit_maxbytes')
    if (limitBytes === 0 || limitBytes >= SMALL_MEMORY_BYTES) return undefined
    return {
      code: 'memory-small',
      severity: 'advice',
      message: `It has ${bytes(limitBytes)} of memory, divided among sizes in pages of 1 MiB: some sizes may get none.`,
      advice: 'Give it 64 MiB or more (-m 64).',
    }
  },
  ({ settings }) => {
    const itemBytes = numberOf(settings, 'item_size_max')
    if (itemBytes === 0 || itemBytes >= SMALL_ITEM_BYTES) return undefined
    return {
      code: 'item-size-small',
      severity: 'advice',
      message: `An item has at most ${bytes(itemBytes)} (-I); a larger session is refused (LATCHKEY_RECORD_TOO_LARGE).`,
      advice: 'Start it with -I 1m, the default, unless all sessions are small.',
    }
  },
  ({ stats }) => {
    const refused = numberOf(stats, 'store_too_large')
    if (refused === 0) return undefined
    return {
      code: 'items-too-large',
      severity: 'advice',
      message: `It refused ${String(refused)} items that were too large since it was started.`,
      advice: 'Find out what is kept in these sessions and keep less, or raise -I.',
    }
  },
  ({ stats }) => {
    const [now, limit] = [numberOf(stats, 'curr_connections'), numberOf(stats, 'max_connections')]
    // memcached keeps some connections back for itself.
    if (limit === 0 || now + numberOf(stats, 'reserved_fds') < limit * FULL_SHARE) return undefined
    return {
      code: 'connections-nearly-used',
      severity: 'problem',
      message: `${String(now)} of its ${String(limit)} connections are in use; when all are, requests wait or fail.`,
      advice: 'Raise -c, or lower the option "connections" (each process opens up to that many).',
    }
  },
  ({ stats }) => {
    const refused = numberOf(stats, 'rejected_connections') + numberOf(stats, 'listen_disabled_num')
    if (refused === 0) return undefined
    return {
      code: 'connections-refused',
      severity: 'problem',
      message: `All its connections were in use, and others refused, ${String(refused)} times since it was started.`,
      advice: 'Raise -c, or lower the option "connections" (each process opens up to that many).',
    }
  },
  ({ settings }) => {
    if (settings.get('lru_crawler') !== 'no') return undefined
    return {
      code: 'lru-crawler-off',
      severity: 'advice',
      message: 'Its LRU crawler is off: expired sessions keep their memory; no lists (locks, all, length, clear).',
      advice: 'Start it without -o no_lru_crawler.',
    }
  },
  ({ settings }) => {
    if (settings.get('dump_enabled') !== 'no') return undefined
    return {
      code: 'key-dump-off',
      severity: 'advice',
      message: 'It forbids key dumps (-X): there are no lists (locks, all, length, clear).',
      advice: 'Start it without -X if you need them.',
    }
  },
  ({ aheadSec }) => {
    const skewSec = Math.abs(aheadSec)
    if (skewSec < SKEW_ADVICE_SEC) return undefined
    return {
      code: 'clock-skew',
      severity: skewSec < SKEW_PROBLEM_SEC ? 'advice' : 'problem',
      message:
        `Its clock is ${duration(skewSec * 1000)} ${aheadSec > 0 ? 'ahead of' : 'behind'} this machine's; lifetimes ` +
        'of more than 30 days are sent as dates, and are off by as much.',
      advice: 'Let both machines keep time (NTP).',
    }
  },
  ({ settings }) => {
    const idleSec = numberOf(settings, 'idle_timeout')
    if (idleSec === 0 || idleSec >= SHORT_IDLE_SEC) return undefined
    return {
      code: 'idle-timeout',
      severity: 'advice',
      message: `It closes connections that are idle for ${String(idleSec)} s; the next request opens one anew.`,
      advice: 'Start it without -o idle_timeout, or with 60 or more.',
    }
  },
  ({ settings }) => {
    if (numberOf(settings, 'udpport') === 0) return undefined
    return {
      code: 'udp-open',
      severity: 'advice',
      message: 'It listens on UDP, which latchkey does not use and attackers do (amplification).',
      advice: 'Start it with -U 0, the default since 1.5.6.',
    }
  },
  ({ server }) => {
    const { credentials, endpoint, tls } = server
    const staysHere = endpoint.kind === 'unix' || LOOPBACK.test(endpoint.host)
    if (credentials === undefined || tls !== undefined || staysHere) return undefined
    return {
      code: 'password-in-clear',
      severity: 'advice',
      message: 'The password crosses the network in the clear, and so do the sessions.',
      advice: 'Use tls:// and start the server with -Z.',
    }
  },
]

export const findingsOf = (facts: ServerFacts): Finding[] => RULES.flatMap((rule) => rule(facts) ?? [])

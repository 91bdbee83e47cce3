/** What is wrong, for sessions, in the configuration file of a proxy: what playing sessions does not show. */
import type { Finding } from '../../operated-store.js'
import type { Via } from '../save-path.js'

/**
 * @param text the file; comments in it are not looked at.
 * @param flightMs how long latchkey waits for an answer.
 */
export const configurationFindings = (via: Via, text: string, flightMs: number): readonly Finding[] =>
  RULES[via](text.replace(COMMENTS[via], ''), flightMs)

const COMMENTS: Readonly<Record<Via, RegExp>> = {
  twemproxy: /(?<=^|\s)#.*$/gm,
  proxy: /--\[\[[^]*?\]\]|--.*$/gm,
  mcrouter: /\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm,
}

export const problem = (code: string, message: string, advice: string): Finding => ({ code, severity: 'problem', message, advice })

export const replicates = (route: string): Finding =>
  problem(
    'proxy-replicates',
    `The route ${route} sends a key to several servers, or to another one when one fails: no lock can be held there, and no write fenced.`,
    'Let sessions have a route of their own that spreads keys over the servers; copies are for caches.',
  )

/** @param option how it is set. */
export const timeoutLong = (name: string, option: string, flightMs: number): Finding =>
  problem(
    'proxy-timeout-long',
    `A server that hangs is waited for (${name}) as long as latchkey waits for an answer (${String(flightMs)} ms, a third of deadlineMs) or longer: it holds up the sessions of all others.`,
    `Set ${option} below ${String(flightMs)}, for example ${String(Math.floor(flightMs * 0.4))}.`,
  )

const RULES: Readonly<Record<Via, (text: string, flightMs: number) => readonly Finding[]>> = {
  twemproxy(text, flightMs) {
    const valuesOf = (name: string): string[] => [...text.matchAll(new RegExp(`^\\s+${name}:\\s*(.*?)\\s*$`, 'gm'))].map(([, value = '']) => value)
    const pools = Math.max(1, valuesOf('listen').length)
    const findings: Finding[] = []
    if (valuesOf('server_connections').some((count) => count !== '1')) {
      findings.push(problem('proxy-out-of-order', 'It has several connections to a server (server_connections), so that commands overtake each other.', 'Set server_connections: 1.'))
    }
    if (valuesOf('auto_eject_hosts').some((value) => /^(?:true|yes|on)$/i.test(value))) {
      findings.push(
        problem(
          'proxy-ejects-servers',
          'A server that fails is left out (auto_eject_hosts): its sessions begin anew elsewhere, and the old ones stand again when it is back.',
          'Set auto_eject_hosts: false.',
        ),
      )
    }
    const timeouts = valuesOf('timeout')
    if (timeouts.length < pools || timeouts.some((value) => !(Number(value) < flightMs))) {
      findings.push(timeoutLong('timeout', 'timeout', flightMs))
    }
    const tags = valuesOf('hash_tag')
    if (tags.length < pools || tags.some((value) => value.replace(/["']/g, '') !== '{}') || valuesOf('distribution').includes('random')) {
      findings.push(problem('proxy-keys-apart', 'The keys of a session are hashed apart: a lock may be on another server than its record.', 'Set hash_tag: "{}" and distribution: ketama.'))
    }
    return findings
  },

  proxy(text) {
    const [replicating] = /\broute_(?:all\w+|failover|split|z\w+)\b/.exec(text) ?? []
    const findings = replicating === undefined ? [] : [replicates(replicating)]
    if ([...text.matchAll(/\bconnections\s*=\s*(\d+)/g)].some(([, count]) => count !== '1')) {
      findings.push(problem('proxy-out-of-order', 'It has several connections to a server (connections), so that commands overtake each other.', 'Set connections = 1, or leave it out.'))
    }
    if (/ring_hash/.test(text)) {
      findings.push(problem('proxy-one-server', 'The ring hash of memcached 1.6.38 puts every key on one server.', 'Leave dist out: the default hash is right.'))
    }
    if (!/filter\s*=\s*["']tags["']/.test(text) || !/filter_conf\s*=\s*["']\{\}["']/.test(text)) {
      findings.push(problem('proxy-keys-apart', 'The keys of a session are hashed apart: a lock may be on another server than its record.', 'Set filter = "tags", filter_conf = "{}" in the options of the pool.'))
    }
    return findings
  },

  mcrouter(text) {
    const [replicating] = /\b(?:All(?:Sync|Async|Majority|Initial|Fastest)|\w*Failover\w*|Random|Latest|L1L2\w*|WarmUp|Shadow|Migrate)Route\b/.exec(text) ?? []
    const findings = replicating === undefined ? [] : [replicates(replicating)]
    if (/"?miss_on_get_errors"?\s*:\s*(?:true|1|"1")/.test(text)) {
      findings.push(problem('proxy-miss-on-error', 'A server that is away looks like one that has no such session (miss_on_get_errors).', 'Set miss_on_get_errors to false.'))
    }
    return findings
  },
}

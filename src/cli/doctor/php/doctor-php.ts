/** `latchkey doctor --php`: what must change, and on which side, for PHP and Node to share their sessions. Asks no server. */
import { plainText } from '../../../system/plain-text.js'
import { EXIT, type Report } from '../../report.js'
import { UsageError } from '../../usage-error.js'
import { linesOf, nodeOptionsOf, TOLD } from './node-options.js'
import { Php, type PhpFinding } from './php.js'
import { findingsOf } from './php-rules.js'
import { type PhpSettings, readPhpSettings } from './php-settings.js'

/** `php -i` has about 60 KB. */
export const MAX_PHP_TEXT_BYTES = 4 * 1024 * 1024

/** Whose values are shown to nobody. */
const SECRET = /password/

/** @throws UsageError where no setting of PHP's sessions is in it. */
export function doctorPhp(text: string): Report {
  const settings = readPhpSettings(text)
  if (settings === undefined) {
    throw new UsageError('No setting of PHP\'s sessions is in it: give a php.ini, or what "php -i" prints, or the page of phpinfo().')
  }
  const php = new Php(settings)
  const findings = [...notesOn(settings), ...findingsOf(php)]
  const changed = php.with(findings)
  const options = nodeOptionsOf(changed)
  const isFine = findings.every(({ severity }) => severity !== 'problem')
  const phpIni = findings.flatMap(({ setting, change }) => (change === undefined ? [] : [`${setting} = ${change}`]))
  return {
    exitCode: isFine ? EXIT.fine : EXIT.problem,
    data: {
      ok: isFine,
      read: settings.form,
      phpVersion: settings.version ?? null,
      sapi: settings.sapi ?? null,
      findings,
      settings: shownValues(settings),
      phpIni,
      node: options ?? null,
    },
    lines: [
      ...[settings].map(({ form, version, sapi }) => [form, version && `PHP ${version}`, sapi].filter(Boolean).map((part) => plainText(String(part))).join(', ')),
      ...findings.flatMap((finding) => linesOfFinding(php, finding)),
      ...asTheyAre(php, findings).map((setting) => `  ok       ${setting} = ${shown(php.text(setting))}`),
      ...TOLD.filter(({ setting }) => changed.has(setting) && changed.text(setting) !== '').map(({ setting, option }) => `  Node     ${setting} = ${shown(changed.text(setting))}: ${option}`),
      '',
      ...(phpIni.length === 0 ? ['Nothing needs to change in php.ini.'] : ['In php.ini (and restart PHP):', '', ...phpIni.map((line) => `  ${line}`)]),
      '',
      ...(options === undefined
        ? ['What to write for Node shows when PHP keeps its sessions on memcached, in a save path that can be used.']
        : ['In Node:', '', '  const manager = new SessionManager({', ...linesOf(options, '    '), '  })']),
    ],
  }
}

/** About what was read, not about what it says. */
function notesOn({ form, sapi, named, hasSections }: PhpSettings): PhpFinding[] {
  const found: PhpFinding[] = []
  if (form === 'php.ini') {
    found.push({
      code: 'defaults-assumed', severity: 'note', setting: 'php.ini',
      message: `It says ${String(named.size)} of the settings; the others are taken to be PHP's defaults, and other files (conf.d, a pool's) may change them`,
      advice: 'The page of phpinfo() under the web server knows all of them.',
    })
  }
  if (sapi === 'Command Line Interface') {
    found.push({
      code: 'command-line', severity: 'note', setting: 'php -i',
      message: 'These are the settings of the command line; the web server has a php.ini of its own, and another max_execution_time',
      advice: 'Save the page of phpinfo() from the web server, and give that.',
    })
  }
  if (hasSections) {
    found.push({
      code: 'sections', severity: 'note', setting: 'php.ini',
      message: 'Settings in [HOST=] and [PATH=] sections were passed over', advice: 'Give the page of phpinfo() of that host.',
    })
  }
  return found
}

function linesOfFinding(php: Php, { code, severity, setting, message, advice, change }: PhpFinding): string[] {
  const value = php.has(setting) ? ` (${setting} = ${shown(php.text(setting))})` : ''
  const todo = change === undefined ? '' : ` php.ini: ${setting} = ${change}`
  return [`  ${severity.padEnd(7)}  ${code}: ${plainText(message)}${value}`, `           ${plainText(advice)}${todo}`]
}

/** Settings that were looked at, and may stay. */
function asTheyAre(php: Php, findings: readonly PhpFinding[]): string[] {
  const others = new Set([...findings.map(({ setting }) => setting), ...TOLD.map(({ setting }) => setting)])
  return php.names.filter((name) => !others.has(name) && !SECRET.test(name))
}

const shown = (value: string): string => (value === '' ? '(nothing)' : plainText(value.slice(0, 200)))

function shownValues({ values }: PhpSettings): Record<string, string> {
  return Object.fromEntries([...values].map(([name, value]) => [name, SECRET.test(name) && value !== '' ? '(hidden)' : value]))
}

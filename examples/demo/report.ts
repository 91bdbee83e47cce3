/** The words of the demonstration. Every line fits in 80 columns. */
import type { Paint } from './paint.js'
import type { Act, Figures, Visit } from './play.js'
import { drawTimeline, drawWrites } from './timeline.js'

/** A second browser that is slower by this much next to the waiting requests than alone was held up by them. */
const HELD_UP_MS = 15

/** Keeps a number and its unit on one line. */
const NO_BREAK = '\u00a0'

export const drawIntroduction = (store: string, paint: Paint): string[] => [
  '',
  `  ${paint.bold('latchkey')}: requests of one browser that share a session`,
  ...wrap(`sessions in ${store}; real HTTP on loopback`).map(paint.dim),
  '',
  '  A page logs in. Then, at once and with one cookie, it loads preferences',
  '  (slow), loads notifications (fast) and puts something into the cart. Each',
  '  request loads the session, works, and stores its own change in it.',
]

export function drawHeading(locking: boolean, paint: Paint): string[] {
  const [number, title, code] = locking
    ? ['2', 'With the lock', 'new SessionManager()']
    : ['1', 'Without a lock', 'new SessionManager({ locking: false })']
  const heading = `${number}  ${title}`
  return ['', `  ${paint.bold(heading)}${' '.repeat(Math.max(2, 76 - heading.length - code.length))}${paint.dim(code)}`, '']
}

export function drawAct(act: Act, paint: Paint): string[] {
  const [view] = act.views
  if (view === undefined) return []
  const meaning = act.locking ? '░ waits for the session   █ has it to itself' : '█ works on its own copy of the session'
  return [
    ...drawTimeline(view, act.beats, act.locking, paint),
    paint.dim(`  ${meaning}   ▁ under 5 ms … ▇ over 100`),
    '',
    '  What each request stored:',
    ...drawWrites(view, paint),
    '',
    `  ${String(act.views.length)} such page views: ${tally(act, paint)}`,
  ]
}

export const drawVerdict = (figures: Figures, paint: Paint): string[] => [
  '',
  `  ${paint.bold('Verdict')}`,
  ...wrap(aboutUnlocked(figures)),
  ...wrap(aboutLocked(figures)),
  ...wrap(aboutBystander(figures)),
  '',
]

function aboutUnlocked({ unlocked: { kept, expected } }: Figures): string {
  const lost = expected - kept
  if (lost === 0) return 'Nothing was lost without the lock this time, so this run has shown nothing. Run it again.'
  const words = `${count(lost, 'change')} of ${String(expected)} ${lost === 1 ? 'was' : 'were'} lost`
  return `Without the lock ${words}, though every request was answered 200.`
}

function aboutLocked({ locked }: Figures): string {
  const lost = locked.expected - locked.kept
  if (lost > 0) {
    return `With it ${count(lost, 'change')} of ${String(locked.expected)} went missing too: a bug, please report it.`
  }
  const turns = `the requests of one browser took turns, the longest wait was ${ms(longestWaitMs(locked))}`
  return `With it all ${String(locked.expected)} were kept: ${turns}.`
}

function aboutBystander({ bystander: { p99Ms, p99AloneMs }, locked }: Figures): string {
  const heldUp = p99Ms - p99AloneMs > HELD_UP_MS
  const finding = heldUp ? 'was slower meanwhile (on a busy machine that may be noise: run it again)' : 'was not held up'
  const sample = `99${NO_BREAK}% of its ${String(locked.beats.length)} requests`
  return `The second browser ${finding}: ${sample} took under ${ms(p99Ms)}, ${ms(p99AloneMs)} when it was alone.`
}

/** Lines of plain text, indented like everything else. */
function wrap(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + word.length + 1 > 74) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.map((line) => `  ${line.replaceAll(NO_BREAK, ' ')}`)
}

function tally({ kept, expected }: Act, paint: Paint): string {
  const words = `${String(kept)} of ${String(expected)} changes kept`
  return kept === expected ? paint.green(`${words}, none lost`) : paint.red(`${words}, ${String(expected - kept)} lost`)
}

const waitOf = ({ sentAtMs, loadedAtMs }: Visit): number => loadedAtMs - sentAtMs
const longestWaitMs = (act: Act): number => Math.max(...act.views.flatMap(({ visits }) => visits.map(waitOf)))
const count = (n: number, noun: string): string => `${String(n)} ${noun}${n === 1 ? '' : 's'}`
const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : String(Math.round(value))}${NO_BREAK}ms`

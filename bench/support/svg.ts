/** Distributions as SVG: a line of dots for each series, its quartiles as a box and its median as a bar. */
import { num, type Chart } from './result.js'
import { quantile } from './statistics.js'

const WIDTH = 860
const LEFT = 190
const RIGHT = 120
const ROW = 34
const TOP = 56

type Scale = (value: number) => number

export function drawn(chart: Chart): string {
  const series = chart.series.filter(({ values }) => values.length > 0)
  const all = series.flatMap(({ values }) => values)
  const scale = scaleOf(chart, all)
  const height = TOP + ROW * series.length + 34
  const axisY = TOP + ROW * series.length
  const ticks = ticksOf(chart, all).map(
    (tick) =>
      `<line x1="${at(scale(tick))}" y1="${at(TOP - 12)}" x2="${at(scale(tick))}" y2="${at(axisY)}" stroke="#e3e3e3"/>` +
      `<text x="${at(scale(tick))}" y="${at(axisY + 18)}" text-anchor="middle" fill="#666">${num(tick)}</text>`,
  )
  const rows = series.map(({ label, values }, index) => rowOf(label, values, TOP + ROW * index + ROW / 2, scale))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(height)}" font-family="sans-serif" font-size="12">`,
    `<rect width="${String(WIDTH)}" height="${String(height)}" fill="#fff"/>`,
    `<text x="16" y="26" font-size="15" font-weight="bold">${escaped(chart.title)} [${escaped(chart.unit)}]</text>`,
    ...ticks,
    ...rows,
    '</svg>',
    '',
  ].join('\n')
}

function rowOf(label: string, values: readonly number[], y: number, scale: Scale): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => scale(quantile(values, q)))
  const width = Math.max((high ?? 0) - (low ?? 0), 1)
  const color = label.startsWith('latchkey') ? '#c2410c' : label.includes('floor') ? '#444' : '#2563eb'
  const dots = values.map((value, index) => {
    // Spread up and down by a fixed pattern, so that dots do not hide each other and a drawing can be repeated.
    const jitter = ((index * 7) % 11) - 5
    return `<circle cx="${at(scale(value))}" cy="${at(y + jitter)}" r="2.2" fill="${color}" fill-opacity="0.45"/>`
  })
  return [
    `<text x="${String(LEFT - 12)}" y="${at(y + 4)}" text-anchor="end">${escaped(label)}</text>`,
    `<rect x="${at(low ?? 0)}" y="${at(y - 9)}" width="${at(width)}" height="18" fill="${color}" fill-opacity="0.12"/>`,
    ...dots,
    `<line x1="${at(middle ?? 0)}" y1="${at(y - 11)}" x2="${at(middle ?? 0)}" y2="${at(y + 11)}" stroke="${color}" stroke-width="2.5"/>`,
    `<text x="${String(WIDTH - RIGHT + 14)}" y="${at(y + 4)}" fill="${color}">${num(quantile(values, 0.5))}</text>`,
  ].join('\n')
}

function scaleOf({ logarithmic }: Chart, all: readonly number[]): Scale {
  const span = WIDTH - LEFT - RIGHT
  const most = Math.max(...all)
  if (logarithmic !== true) return (value) => LEFT + (span * value) / (most * 1.02)
  const least = Math.log(Math.max(Math.min(...all), 1e-6))
  const range = Math.max(Math.log(most) - least, 1e-6)
  return (value) => LEFT + (span * (Math.log(Math.max(value, 1e-6)) - least)) / range
}

function ticksOf({ logarithmic }: Chart, all: readonly number[]): number[] {
  const most = Math.max(...all)
  if (logarithmic === true) {
    const least = Math.min(...all)
    const ticks: number[] = []
    for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++) {
      for (const step of [1, 2, 5]) ticks.push(step * 10 ** power)
    }
    return ticks.filter((tick) => tick >= least && tick <= most)
  }
  const rough = most / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step)
}

const at = (coordinate: number): string => coordinate.toFixed(1)

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')

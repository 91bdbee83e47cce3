/** The last minutes of a few numbers. */
import uPlot from 'uplot'
import { count, duration } from './words.js'
import { SERIES, type Series } from './store.js'

const TITLES: Readonly<Record<(typeof SERIES)[number], string>> = {
  acquired: 'Sessions locked, a second',
  waiting: 'Requests that wait now',
  longestMs: 'Longest wait',
  handOffs: 'Locks handed on, a second',
  troubles: 'Refused, lost or unknown, a second',
}

interface Small {
  readonly name: (typeof SERIES)[number]
  readonly plot: uPlot
  readonly value: HTMLElement
}

/** Draws in a box of its own, which nothing else renders. */
export class Charts {
  private smalls: Small[] = []
  private series: Series | undefined

  constructor(private readonly box: HTMLElement) {
    new ResizeObserver(() => this.resize()).observe(box)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.make())
    this.make()
  }

  draw(series: Series): void {
    this.series = series
    for (const { name, plot, value } of this.smalls) {
      const values = series.values[name] ?? []
      plot.setData([series.atSec, values])
      const last = values.at(-1) ?? 0
      const words = name === 'longestMs' ? (last === 0 ? '0' : duration(last)) : count(last)
      if (value.textContent !== words) value.textContent = words
      value.classList.toggle('bad', (name === 'troubles' || name === 'waiting') && last > 0)
    }
  }

  private make(): void {
    for (const { plot } of this.smalls) plot.destroy()
    this.box.replaceChildren()
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string): string => style.getPropertyValue(name).trim()
    this.smalls = SERIES.map((name) => {
      const figure = document.createElement('figure')
      const caption = document.createElement('figcaption')
      const value = document.createElement('b')
      caption.append(TITLES[name], value)
      const canvas = document.createElement('div')
      figure.append(caption, canvas)
      this.box.append(figure)
      const stroke = colour(name === 'troubles' ? '--bad' : name === 'waiting' || name === 'longestMs' ? '--wait' : '--hold')
      const axis = { stroke: colour('--dim'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
      const plot = new uPlot({
        width: Math.max(canvas.clientWidth, 120),
        height: 96,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(most, 1) * 1.15] } },
        axes: [
          { ...axis, space: 80, size: 22, values: (_plot, atSec) => atSec.map((sec) => new Date(sec * 1000).toLocaleTimeString('en-GB')) },
          { ...axis, space: 26, size: 44, values: (_plot, values) => values.map((value) => (name === 'longestMs' ? duration(value).replace('<1 ms', '0') : count(value))) },
        ],
        series: [{}, { stroke, width: 1.5, fill: `${stroke}22`, points: { show: false } }],
      }, [[], []], canvas)
      return { name, plot, value }
    })
    if (this.series !== undefined) this.draw(this.series)
  }

  private resize(): void {
    for (const { plot } of this.smalls) {
      const width = plot.root.parentElement?.clientWidth ?? 0
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: 96 })
    }
  }
}

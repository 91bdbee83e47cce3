/** PHP writes the shortest digits that read as the same number, as JavaScript does, but not in the same form. */
const MOST_DIGITS = 17
const LEAST_EXPONENT = -4

/** As PHP's serialize() writes it with `serialize_precision=-1`: `0.1`, `1.0E+25`, `1.5E-7`, `-0`, `INF`, `NAN`. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NAN'
  if (!Number.isFinite(value)) return value > 0 ? 'INF' : '-INF'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa = '0', power = '0'] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const exponent = Number(power)
  if (value !== 0 && (exponent < LEAST_EXPONENT || exponent >= MOST_DIGITS)) {
    return `${sign}${digits.slice(0, 1)}.${digits.slice(1) || '0'}E${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent))}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const rest = digits.slice(exponent + 1)
  return rest === '' ? sign + whole : `${sign}${whole}.${rest}`
}

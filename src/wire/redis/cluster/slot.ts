/** Which of the 16 384 slots of a Redis Cluster a key is in: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */

export const SLOTS = 16_384

/** CRC16 of XMODEM: the polynomial 0x1021, from 0, not reflected. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc
})

/** Only what is between the first braces counts, unless that is nothing. Keys are ASCII. */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  const [from, to] = close > open + 1 ? [open + 1, close] : [0, key.length]
  let crc = 0
  for (let at = from; at < to; at++) crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ (key.charCodeAt(at) & 0xff)] ?? 0)
  return crc % SLOTS
}

/** The tree of a session as JavaScript's values, with what they do not show remembered beside them. */
import { remember, type Remembered } from './memory.js'
import { PhpSyntaxError } from './php-syntax-error.js'
import { nameOf, valueOf } from './text.js'
import type { Entry, Key, Node } from './tree.js'
import { PhpCustom, PhpEnum, PhpObject } from './values.js'

/** For the values of one session: what PHP has once is one object here, too. */
export class ToJavaScript {
  private readonly made = new Map<Node, object>()
  private readonly references = new Map<Node, object>()
  private readonly enums = new Map<string, PhpEnum>()

  /** @param nodes the values of the session: those that have several names are known beforehand. */
  constructor(nodes: readonly Node[]) {
    for (const node of nodes) this.findReferences(node)
  }

  /** The session itself: always an object without a prototype. */
  session(entries: readonly Entry[]): Record<string, unknown> {
    return this.record(entries, emptyRecord())
  }

  private value(node: Node): unknown {
    switch (node.kind) {
      case 'scalar':
      case 'float':
        return node.value
      case 'string':
        return valueOf(node.bytes)
      case 'again':
        return this.value(node.target)
      case 'enum':
        return this.enumOf(node.className, node.caseName)
      case 'custom':
        return this.once(node, () => new PhpCustom(node.className, Buffer.copyBytesFrom(node.bytes)))
      case 'object':
        return this.object(node)
      case 'array':
        return this.array(node)
    }
  }

  private array(node: Extract<Node, { kind: 'array' }>): object {
    const made = this.made.get(node)
    if (made !== undefined) return made
    const { entries } = node
    if (!entries.every(({ key }, index) => key === index)) {
      const record = emptyRecord()
      this.made.set(node, record)
      return this.record(entries, record)
    }
    const list: unknown[] = []
    this.made.set(node, list)
    for (const { node: element } of entries) list.push(this.value(element))
    this.memorize(list, entries)
    return list
  }

  private object(node: Extract<Node, { kind: 'object' }>): object {
    const made = this.made.get(node)
    if (made !== undefined) return made
    const properties = emptyRecord()
    const object = new PhpObject(node.className, properties)
    this.made.set(node, object)
    this.record(node.entries, properties)
    return object
  }

  private record(entries: readonly Entry[], record: Record<string, unknown>): Record<string, unknown> {
    for (const { key, node } of entries) record[keyText(key)] = this.value(node)
    this.memorize(record, entries)
    return record
  }

  private memorize(container: object, entries: readonly Entry[]): void {
    const values = container as Readonly<Record<string, unknown>>
    const remembered = new Map<string, Remembered>()
    for (const { key, node } of entries) {
      const name = keyText(key)
      const target = node.kind === 'again' ? node.target : node
      const isNamedOften = node.kind !== 'again' || node.isReference
      remembered.set(name, {
        value: values[name],
        float: target.kind === 'float' ? target.text : undefined,
        hasIntegerKey: !Buffer.isBuffer(key),
        reference: isNamedOften ? this.references.get(target) : undefined,
      })
    }
    // PHP never writes it. Which of the two a reference would mean, and which of them stays, is not guessed.
    if (remembered.size < entries.length) throw new PhpSyntaxError('a name is there twice', undefined)
    remember(container, { order: [...remembered.keys()], entries: remembered })
  }

  private enumOf(className: string, caseName: string): PhpEnum {
    const name = `${className}:${caseName}`
    const made = this.enums.get(name) ?? new PhpEnum(className, caseName)
    this.enums.set(name, made)
    return made
  }

  private once(node: Node, make: () => object): object {
    const made = this.made.get(node) ?? make()
    this.made.set(node, made)
    return made
  }

  private findReferences(node: Node): void {
    if (node.kind === 'again' && node.isReference && !this.references.has(node.target)) this.references.set(node.target, {})
    if (node.kind === 'array' || node.kind === 'object') for (const entry of node.entries) this.findReferences(entry.node)
  }
}

/** Without a prototype: a name that a visitor has chosen (`__proto__`) is a name as any. */
const emptyRecord = (): Record<string, unknown> => {
  const record: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  return record
}

const keyText = (key: Key): string => (Buffer.isBuffer(key) ? nameOf(key) : String(key))

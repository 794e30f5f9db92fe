/** Every Unicode character that UTF-8 can say. */
import fc from 'fast-check'

const surrogatesFrom = 0xd800
const surrogates = 0x800

/**
 * For `fc.string({ unit: anyCharacter })`: what `unit: 'binary'` generates, without its table of a million characters, which takes a second
 * to make in every process.
 */
export const anyCharacter = fc.integer({ min: 0, max: 0x10_ffff - surrogates }).map(
  (index) => String.fromCodePoint(index < surrogatesFrom ? index : index + surrogates),
  (text) => {
    const [first, ...others] = typeof text === 'string' ? text : ''
    const point = first?.codePointAt(0)
    if (point === undefined || others.length > 0) throw new Error('not one character')
    if (point >= surrogatesFrom && point < surrogatesFrom + surrogates) throw new Error('half a character')
    return point < surrogatesFrom ? point : point - surrogates
  },
)

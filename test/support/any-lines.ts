/** Texts of lines of all lengths with ends of all kinds, and whatever an encoding of them must mind. */
import fc from 'fast-check'

export const anyLines: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\n',
        '\r\n',
        '\r',
        'x\n',
        ' \n',
        '\t',
        '=',
        '=_seed_',
        '\0',
        '中',
        '😀',
        '\ud83d',
        'x'.repeat(75),
      ),
      fc.integer({ min: 60, max: 80 }).map((length) => 'y'.repeat(length)),
      fc.integer({ min: 990, max: 1_000 }).map((length) => 'z'.repeat(length)),
      fc.string({ maxLength: 100 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join(''))

/** What became of one value of the file: the program's value, or what is wrong and what to write instead. */
export type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly what: string; readonly cure: string }

export const good = (value: unknown): Parsed => ({ ok: true, value })
export const bad = (what: string, cure: string): Parsed => ({ ok: false, what, cure })

/** A value as in the file, but never longer than a line. */
export function show(given: unknown): string {
  const text = JSON.stringify(given) ?? String(given)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

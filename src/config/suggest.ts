/** The known word nearest to a mistyped one. */

/** Null when nothing is near: more than a third of the letters would have to change. */
export function nearest(given: string, known: Iterable<string>): string | null {
  const wanted = normal(given)
  let best: string | null = null
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  if (wanted.length > 64) return null
  for (const word of known) {
    const distance = editDistance(wanted, normal(word))
    if (distance < bestDistance) {
      best = word
      bestDistance = distance
    }
  }
  return best
}

const normal = (word: string): string => word.toLowerCase().replaceAll(/[-_ ]/g, '')

/** Levenshtein's, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

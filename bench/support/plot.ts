/** Lines over time as SVG, one panel below the other, each with its own scale that begins at zero. */

export interface Line {
  readonly name: string
  readonly values: readonly number[]
}

export interface Panel {
  readonly title: string
  readonly lines: readonly Line[]
}

const size = { width: 900, panel: 150, left: 70, right: 20, top: 36, gap: 44 }
const colours = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700']

/** `minutes` are the places of all values on the common axis. */
export function plot(title: string, minutes: readonly number[], panels: readonly Panel[]): string {
  const height = size.top + panels.length * (size.panel + size.gap)
  const end = Math.max(minutes.at(-1) ?? 0, 1e-9)
  const drawn = panels.map((panel, i) => drawPanel(panel, minutes, end, size.top + i * (size.panel + size.gap)))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="${size.left}" y="18" font-size="14">${escape(title)}</text>
${drawn.join('\n')}
</svg>
`
}

function drawPanel({ title, lines }: Panel, minutes: readonly number[], end: number, top: number): string {
  const most = Math.max(1e-9, ...lines.flatMap(({ values }) => values))
  const width = size.width - size.left - size.right
  const bottom = top + size.panel
  const x = (minute: number): string => (size.left + (minute / end) * width).toFixed(1)
  const y = (value: number): string => (bottom - (value / most) * (size.panel - 20)).toFixed(1)
  const names = lines.map(({ name }, i) => `<tspan fill="${colours[i % colours.length]}">  ${escape(name)}</tspan>`)
  const paths = lines.map(({ values }, i) => {
    const points = values.map((value, at) => `${x(minutes[at] ?? 0)},${y(value)}`).join(' ')
    return `<polyline fill="none" stroke="${colours[i % colours.length]}" points="${points}"/>`
  })
  return `<text x="${size.left}" y="${top + 10}">${escape(title)}${names.join('')}</text>
<path d="M${size.left} ${top + 16}V${bottom}H${size.width - size.right}" fill="none" stroke="#888"/>
<text x="${size.left - 6}" y="${Number(y(most)) + 4}" text-anchor="end">${told(most)}</text>
<text x="${size.left - 6}" y="${bottom}" text-anchor="end">0</text>
<text x="${size.width - size.right}" y="${bottom + 16}" text-anchor="end">${end.toFixed(1)} min</text>
${paths.join('\n')}`
}

const told = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

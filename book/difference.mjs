// What a lesson changes in the one before it: a patch, cut where the README's explanations
// begin, each part side by side and unified, by diff2html.

import { html, parse } from 'diff2html'

// differenceOf(patch, explained): the parts of the patch, each { explanation, unified, side }.
// `explained` has, for the number of a line of the new file, the explanation of it.
export function differenceOf(patch, explained) {
  return parse(patch).flatMap((file) =>
    file.blocks
      .flatMap((hunk) => cut(hunk, explained))
      .map((part) => ({
        explanation: part.explanation,
        unified: draw(file, part, 'line-by-line'),
        side: draw(file, part, 'side-by-side')
      }))
  )
}

// Lines that nothing explains belong to the explanation after them: they are what leads to it,
// such as the head of a function.
function cut(hunk, explained) {
  const parts = []
  for (const line of hunk.lines) {
    const explanation = explained.get(line.newNumber)
    const last = parts.at(-1)
    if (last !== undefined && [undefined, explanation].includes(last.explanation)) {
      last.explanation = explanation
      last.lines.push(line)
    } else {
      parts.push({ explanation, lines: [line] })
    }
  }
  return join(parts).map((part) => ({ ...hunk, ...part }))
}

// A part in which nothing has changed belongs to the one before it, or to the one after it.
function join(parts) {
  const joined = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (last !== undefined && (last.explanation === part.explanation || !hasChanged(part))) {
      last.lines.push(...part.lines)
    } else if (last !== undefined && !hasChanged(last)) {
      last.explanation = part.explanation
      last.lines.push(...part.lines)
    } else {
      joined.push(part)
    }
  }
  return joined
}

function hasChanged(part) {
  return part.lines.some((line) => line.type !== 'context')
}

// diff2html's own templates take 350 bytes a line, and draw two tables side by side, in which a
// long line cannot be broken. Ours have one cell for a number, and one for a line.
const rawTemplates = {
  'generic-wrapper': '{{{content}}}',
  'generic-block-header': '',
  'generic-line': '<td>{{{lineNumber}}}</td><td class="{{type}}">{{{content}}}</td>\n',
  'line-by-line-numbers': '{{oldNumber}}</td><td>{{newNumber}}',
  'line-by-line-file-diff': '{{{diffs}}}',
  'side-by-side-file-diff': '{{{diffs.left}}}\f{{{diffs.right}}}'
}

function draw(file, part, outputFormat) {
  const [left, right] = html([{ ...file, blocks: [part] }], {
    outputFormat,
    rawTemplates,
    drawFileList: false,
    matching: 'words'
  })
    .replaceAll('d2h-', '')
    .split('\f')
    .map((cells) => cells.trimEnd().split('\n'))
  const rows = left.map((cells, i) => `<tr>${cells}${right?.[i] ?? ''}</tr>`)
  return `<table class="${outputFormat}"><tbody>${rows.join('')}</tbody></table>`
}

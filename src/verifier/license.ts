/** Licences that Linux takes for GPL-compatible (include/linux/license.h). */
const GPL_COMPATIBLE: readonly string[] = [
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
];

/** Whether a program under this licence may call what only such programs may. */
export function isGplCompatible(license = 'GPL'): boolean {
  return GPL_COMPATIBLE.includes(license);
}

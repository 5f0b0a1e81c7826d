/** Colours by meaning; where the terminal has none, the text as it is. */
export interface Paint {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

export function createPaint(colour: boolean): Paint {
  const paint = (code: string) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: paint("1"), dim: paint("2"), red: paint("1;31"), green: paint("32"), yellow: paint("33") };
}

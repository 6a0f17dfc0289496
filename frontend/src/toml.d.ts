declare module '*.toml' {
  export const map: Record<string, {ja: string; en: string}>;
}

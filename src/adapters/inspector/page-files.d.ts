/** Written by the build, from page/: the page's files as they are sent. */
export declare const html: string
export declare const icon: string
export declare const script: string
export declare const style: string

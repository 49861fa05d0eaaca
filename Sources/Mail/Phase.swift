/// Where in the dialogue with a receiver something was said or went wrong.
package enum Phase: UInt8, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case resolve, connect, banner, ehlo, starttls, auth, mail, rcpt, data, dot

    package var description: String {
        switch self {
        case .resolve: "resolve"
        case .connect: "connect"
        case .banner: "banner"
        case .ehlo: "ehlo"
        case .starttls: "starttls"
        case .auth: "auth"
        case .mail: "mail"
        case .rcpt: "rcpt"
        case .data: "data"
        case .dot: "dot"
        }
    }
}

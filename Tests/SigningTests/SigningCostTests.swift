import NIOCore
import Testing

@testable import Signing

@Suite("What a signature costs", .serialized) struct SigningCostTests {
    /// Prints it; only a release build says anything, and no machine is held to it.
    @Test(arguments: SigningKey.Algorithm.allCases)
    func `a signature`(_ algorithm: SigningKey.Algorithm) throws {
        let key = try SigningKey(making: algorithm)
        let header = [UInt8](repeating: 97, count: 1_200)
        let count = 100
        var length = 0
        let spent = try ContinuousClock().measure {
            for _ in 0..<count { length += try key.signature(of: header).utf8.count }
        }
        #expect(length == count * key.signatureLength)
        print("\(algorithm): \(spent / count) a signature")
    }

    @Test func `a body`() {
        let body = ByteBuffer(
            string: String(repeating: "A line of a message,  with some spaces in it. \r\n", count: 20_000))
        var hash = BodyHash()
        let spent = ContinuousClock().measure { hash.update(body) }
        #expect(!hash.finished().isEmpty)
        print("relaxed body hash: \(spent / (body.readableBytes >> 10)) a KiB")
    }
}

// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .treatAllWarnings(as: .error),
]

/// Optimizing what only tests is dearer than running it unoptimized: DeliveryTests took 258 s of CPU, and take 35.
let testSettings = settings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")

/// Targets stand in the order in which a message meets them; each may import only what is named here.
let package = Package(
    name: "figaro",
    products: [.executable(name: "figaro", targets: ["Figaro"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CUnbound", providers: [.apt(["libunbound-dev"])]),
        .systemLibrary(name: "CIDN", providers: [.apt(["libidn2-dev"])]),
        .target(name: "Mail", dependencies: [nioCore], swiftSettings: settings),
        .target(name: "SMTP", dependencies: ["Mail", nioCore, nioTLS, nioSSL], swiftSettings: settings),
        .target(name: "Queue", dependencies: ["Mail", nioCore, logging, deque, heap], swiftSettings: settings),
        .target(
            name: "Storage",
            dependencies: [
                "Mail", "Queue", nioCore, deque, logging, .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: settings),
        .target(
            name: "Filtering", dependencies: ["Mail", nioCore, nioPosix, nioHTTP1, logging], swiftSettings: settings),
        .target(
            name: "Signing", dependencies: ["Mail", nioCore, nioPosix, crypto, cryptoExtras], swiftSettings: settings),
        .target(
            name: "Intake",
            dependencies: [
                "Mail", "SMTP", "Filtering", "Signing", "Queue", nioCore, nioPosix, nioSSL, logging, crypto,
                cryptoExtras,
            ],
            swiftSettings: settings),
        .target(name: "DNS", dependencies: ["Mail", "CUnbound", "CIDN", nioCore, deque], swiftSettings: settings),
        .target(
            name: "Delivery",
            dependencies: ["Mail", "SMTP", "DNS", "Queue", nioCore, nioPosix, nioSSL, logging, deque, heap],
            swiftSettings: settings),
        .target(name: "Console", dependencies: [nioCore, nioPosix, nioHTTP1], swiftSettings: settings),
        .target(
            name: "CResources", path: "Sources/Figaro/Resources",
            exclude: ["replies.yaml", "reply-words.tsv", "sites.yaml", "notice-en.yaml", "notice-de.yaml"]),
        .executableTarget(
            name: "Figaro",
            dependencies: [
                "CResources", "Mail", "SMTP", "Filtering", "Signing", "Queue", "Storage", "Intake", "DNS", "Delivery",
                "Console", nioCore, nioPosix, nioSSL, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            exclude: ["Resources"],
            swiftSettings: settings),
        .target(
            name: "RelayTesting",
            dependencies: [
                "Mail", "SMTP", "DNS", "Queue", "Storage", "Intake", "Delivery", nioCore, nioPosix, nioSSL,
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Tests/RelayTesting", swiftSettings: settings),
        .executableTarget(
            name: "SpoolFiller",
            dependencies: [
                "Mail", "Queue", "Storage", nioCore, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/SpoolFiller", swiftSettings: settings),
        .testTarget(name: "MailTests", dependencies: ["Mail", nioCore], swiftSettings: testSettings),
        .testTarget(
            name: "SMTPTests", dependencies: ["SMTP", "Mail", nioCore, nioEmbedded, nioSSL], exclude: ["Dialogues"],
            swiftSettings: testSettings),
        .testTarget(
            name: "QueueTests", dependencies: ["Queue", "RelayTesting", "Mail", nioCore, nioPosix, logging],
            swiftSettings: testSettings),
        .testTarget(
            name: "StorageTests",
            dependencies: [
                "Storage", "Queue", "RelayTesting", "Mail", nioCore, nioPosix, logging,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "FilteringTests", dependencies: ["Filtering", "Mail", nioCore, nioPosix, nioHTTP1, logging],
            swiftSettings: testSettings),
        .testTarget(
            name: "SigningTests", dependencies: ["Signing", "Mail", nioCore, nioPosix], swiftSettings: testSettings),
        .testTarget(
            name: "IntakeTests",
            dependencies: [
                "Intake", "Filtering", "RelayTesting", "Mail", "SMTP", "Queue", nioCore, nioPosix, nioSSL, logging,
            ],
            swiftSettings: testSettings),
        .testTarget(
            name: "DNSTests", dependencies: ["DNS", "RelayTesting", "Mail", nioCore], swiftSettings: testSettings),
        .testTarget(
            name: "DeliveryTests",
            dependencies: ["Delivery", "RelayTesting", "Mail", "SMTP", "DNS", "Queue", nioCore, nioPosix, logging],
            swiftSettings: testSettings),
        .testTarget(name: "ConsoleTests", dependencies: ["Console", nioHTTP1], swiftSettings: testSettings),
        .testTarget(
            name: "FigaroTests",
            dependencies: [
                "Figaro", "RelayTesting", "Mail", "SMTP", "Filtering", "Queue", "Storage", "Intake", "DNS", "Delivery",
                nioCore,
                nioPosix, logging, .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: testSettings),
        .testTarget(name: "TidyTests", swiftSettings: testSettings),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x
)

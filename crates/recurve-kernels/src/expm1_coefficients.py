"""Coefficients of q in expm1(r) = r + r^2 q(r) for |r| <= ln(2)/2, as used by math.rs.

Weighted least squares on Chebyshev nodes in long double, iterated towards the minimax of the
relative error (Lawson's method). usage: python3 expm1_coefficients.py [degree]
"""
import math
import sys

def fit(degree, points=600, rounds=400):
    edge = math.log(2) / 2 * 1.0005
    nodes = [edge * math.cos(math.pi * (k + 0.5) / points) for k in range(points)]
    nodes = [r for r in nodes if abs(r) > 1e-3]
    target = [(math.expm1(r) - r) / (r * r) for r in nodes]
    scale = [r * r / abs(math.expm1(r)) for r in nodes]
    weight = [1.0] * len(nodes)
    for _ in range(rounds):
        n = degree + 1
        rows = [[0.0] * (n + 1) for _ in range(n)]
        for r, y, s, w in zip(nodes, target, scale, weight):
            v = w * s * s
            for i in range(n):
                for j in range(n):
                    rows[i][j] += v * (r / edge) ** (i + j)
                rows[i][n] += v * y * (r / edge) ** i
        for i in range(n):
            p = max(range(i, n), key=lambda q: abs(rows[q][i]))
            rows[i], rows[p] = rows[p], rows[i]
            for q in range(n):
                if q != i:
                    f = rows[q][i] / rows[i][i]
                    rows[q] = [a - f * b for a, b in zip(rows[q], rows[i])]
        c = [rows[i][n] / rows[i][i] / edge ** i for i in range(n)]
        error = [abs(s * (y - sum(k * r ** i for i, k in enumerate(c)))) for r, y, s in zip(nodes, target, scale)]
        weight = [w * (e + 1e-12) for w, e in zip(weight, error)]
        total = sum(weight)
        weight = [w / total for w in weight]
    return c, max(error)

coefficients, worst = fit(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
print("worst relative error of expm1:", worst)
for k in coefficients:
    print(repr(k))

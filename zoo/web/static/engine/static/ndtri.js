/**
 * The normal quantile in double precision: the rational approximations of the Cephes library (S. L. Moshier), whose numbers every
 * common library has. In the middle one in (y - 1/2)^2; in the tails one in 1 / sqrt(-2 ln y), of two ranges.
 */

const MIDDLE = {
  over: [-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1, -1.23916583867381258016],
  under: [1, 1.95448858338141759834, 4.67627912898881538453, 8.63602421390890590575e1, -2.25462687854119370527e2, 2.00260212380060660359e2,
    -8.20372256168333339912e1, 1.59056225126211695515e1, -1.1833162112133000314],
};
const TAIL = {
  over: [4.05544892305962419923, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.408050738932008347e1, 1.46849561928858024014e1,
    2.18663306850790267539, -1.40256079171354495875e-1, -3.50424626827848203418e-2, -8.57456785154685413611e-4],
  under: [1, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1, 2.50464946208309415979,
    -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4],
};
const FAR = {
  over: [3.2377489177694603597, 6.91522889068984211695, 3.93881025292474443415, 1.33303460815807542389, 2.01485389549179081538e-1,
    1.23716634817820021358e-2, 3.01581553508235416007e-4, 2.65806974686737550832e-6, 6.23974539184983293730e-9],
  under: [1, 6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271, 2.16236993594496635890e-1, 1.34204006088543189037e-2,
    3.28014464682127739104e-4, 2.89247864745380683936e-6, 6.79019408009981274425e-9],
};
const EDGE = Math.exp(-2);

/** @param {number[]} coefficients highest power first @param {number} x */
const polynomial = (coefficients, x) => coefficients.reduce((sum, c) => sum * x + c, 0);

/** @param {{over: number[], under: number[]}} ratio @param {number} x */
const rational = (ratio, x) => polynomial(ratio.over, x) / polynomial(ratio.under, x);

/** The x with P(normal < x) = p. @param {number} p in (0, 1) */
export function ndtri(p) {
  const upper = p > 1 - EDGE;
  const tail = upper ? 1 - p : p;
  if (tail > EDGE) {
    const y = tail - 0.5;
    const square = y * y;
    return (y + y * (square * rational(MIDDLE, square))) * Math.sqrt(2 * Math.PI);
  }
  const x = Math.sqrt(-2 * Math.log(tail));
  const inverse = 1 / x;
  const value = x - Math.log(x) / x - inverse * rational(x < 8 ? TAIL : FAR, inverse);
  return upper ? value : -value;
}
